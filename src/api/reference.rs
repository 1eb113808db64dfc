//! The reference page, in English and Chinese, made from the declarations of the actions.

use super::action::{Entry, Who};
use super::param::{self, Spec};
use super::reply::{Field, Shape};
use super::{NOUNS, dispatch};
use std::fmt::Write;

/// The page as HTML: complete in itself, without scripts.
pub fn page() -> String {
    let mut out = String::with_capacity(256 << 10);
    out.push_str(HEAD);
    out.push_str("<nav><h1>Weir API</h1><p><a href=\"#call\">How to call</a></p>");
    for noun in NOUNS {
        let _ = write!(out, "<h2>{} <span lang=\"zh\">{}</span></h2><ul>", escape(noun.title), escape(noun.title_zh));
        for entry in noun.actions {
            let _ = write!(out, "<li><a href=\"#{0}\">{0}</a></li>", entry.name);
        }
        out.push_str("</ul>");
    }
    out.push_str("</nav><main>");
    let _ = write!(out, "{}", HOW.replace("{VERSION}", dispatch::VERSION));
    for noun in NOUNS {
        for entry in noun.actions {
            action(&mut out, entry);
        }
    }
    out.push_str("</main></body></html>\n");
    out
}

fn action(out: &mut String, entry: &Entry) {
    let who = if entry.who == Who::Operator { " <small>operator only · 仅运营者</small>" } else { "" };
    let _ = write!(out, "<section id=\"{0}\"><h3>{0}{who}</h3>", entry.name);
    both(out, "p", entry.doc);
    if !entry.params.is_empty() {
        out.push_str(
            "<h4>Parameters <span lang=\"zh\">请求参数</span></h4><table><tr><th>Name<th>Type<th>Required<th>Allowed<th>Meaning</tr>",
        );
        for spec in entry.params {
            parameter(out, spec);
        }
        out.push_str("</table>");
    }
    out.push_str("<h4>Answer <span lang=\"zh\">返回参数</span></h4><table><tr><th>Name<th>Type<th>Meaning</tr>");
    if let Shape::Object(_, fields) = (entry.reply)() {
        rows(out, fields, 0);
    }
    out.push_str("<tr><td><code>RequestId</code><td>String<td>Names this call. <span lang=\"zh\">请求ID。</span></tr></table></section>");
}

fn parameter(out: &mut String, spec: &Spec) {
    let names = std::iter::once(&spec.name).chain(spec.aliases).map(|n| format!("<code>{}</code>", escape(n))).collect::<Vec<_>>();
    let shape = &spec.shape;
    let mut allowed = Vec::new();
    if let Some((min, max)) = shape.range {
        allowed.push(format!("{min} … {max}"));
    }
    if let Some(max) = shape.max_len {
        allowed.push(format!("≤ {max} characters"));
    }
    if !shape.values.is_empty() {
        allowed.push(shape.values.join(", "));
    }
    if shape.list {
        allowed.push("a,b or [\"a\",\"b\"]".to_owned());
    }
    if let Some(default) = shape.default {
        allowed.push(format!("default {default}"));
    }
    let kind = format!("{:?}{}", shape.kind, if shape.list { "[]" } else { "" });
    let required = if spec.required { "yes · 是" } else { "no · 否" };
    let _ = write!(out, "<tr><td>{}<td>{kind}<td>{required}<td>{}<td>", names.join("<br>"), escape(&allowed.join("; ")));
    both(out, "span", spec.doc);
    out.push_str("</tr>");
}

fn rows(out: &mut String, fields: &[Field], depth: usize) {
    // Answers nest three levels; a type that held itself would not end.
    if depth > 6 {
        return;
    }
    for field in fields {
        let (kind, inner) = described((field.shape)());
        let names = std::iter::once(&field.name).chain(field.also).map(|n| format!("<code>{}</code>", escape(n))).collect::<Vec<_>>();
        let _ = write!(out, "<tr><td style=\"padding-left:{}em\">{}<td>{kind}<td>", depth as f32 + 0.5, names.join("<br>"));
        both(out, "span", field.doc);
        out.push_str("</tr>");
        if let Some(inner) = inner {
            rows(out, inner, depth + 1);
        }
    }
}

fn described(shape: Shape) -> (String, Option<&'static [Field]>) {
    match shape {
        Shape::String => ("String".into(), None),
        Shape::Integer => ("Integer".into(), None),
        Shape::Boolean => ("Boolean".into(), None),
        Shape::Any => ("JSON".into(), None),
        Shape::Object(name, fields) => (name.into(), Some(fields)),
        Shape::List(item) => {
            let (kind, inner) = described(item());
            (format!("{kind}[]"), inner)
        }
    }
}

fn both(out: &mut String, tag: &str, doc: &[&str]) {
    let _ = write!(out, "<{tag}>{}</{tag}>", escape(&param::english(doc)));
    let zh = param::chinese(doc);
    if !zh.is_empty() {
        let _ = write!(out, " <{tag} lang=\"zh\">{}</{tag}>", escape(&zh));
    }
}

/// Text as it stands in HTML, in and outside of attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

const HEAD: &str = r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Weir API</title><style>
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{margin:0;font:15px/1.5 system-ui,sans-serif;display:grid;grid-template-columns:18em 1fr}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1em;box-sizing:border-box;border-right:1px solid var(--line)}
nav h2{font-size:1em;margin:1em 0 .2em}nav ul{margin:0;padding-left:1em;list-style:none}
main{padding:1em 2em;max-width:70em;min-width:0}section{border-top:1px solid var(--line);padding-top:1em;margin-top:2em}
table{border-collapse:collapse;width:100%}td,th{border:1px solid var(--line);padding:.3em .5em;text-align:left;vertical-align:top}
th,code,pre{background:var(--soft)}code{padding:0 .2em}pre{padding:.6em;overflow:auto}h4{margin:1em 0 .3em}
[lang=zh]{opacity:.8}small{font-weight:normal}
@media(max-width:50em){body{display:block}nav{position:static;height:auto;border:0}td{word-break:break-word}}
</style></head><body>"#;

const HOW: &str = r##"<section id="call"><h3>How to call <span lang="zh">调用方式</span></h3>
<p>Send <code>GET /</code> or <code>POST /</code> with <code>Action</code>, <code>Version={VERSION}</code>, the action's parameters and a signature.
The answer is JSON with a <code>RequestId</code>; a failure has <code>Code</code> and <code>Message</code>.
The machine-readable form of this page is <a href="/openapi.json">/openapi.json</a>.</p>
<p lang="zh">向 <code>/</code> 发送 GET 或 POST 请求，携带 Action、Version、接口参数与签名；返回 JSON，其中总有 RequestId，出错时另有 Code 与 Message。</p>
<p>Parameters in the address share the 16 KiB of a request's head (431 above that); a form may hold 1 MiB (413). Both are settings.</p>
<p lang="zh">地址中的参数计入请求头，默认不超过16 KiB（超出返回431）；表单默认不超过1 MiB（超出返回413）。</p>
<h4>Signature 1.0 <span lang="zh">签名</span></h4>
<ol><li>Add <code>AccessKeyId</code>, <code>SignatureMethod=HMAC-SHA1</code>, <code>SignatureVersion=1.0</code>, <code>SignatureNonce</code> (new for each call) and
<code>Timestamp</code> (UTC, <code>2014-05-26T12:00:00Z</code>, at most 15 minutes off).</li>
<li>Sort all parameters by name; percent-encode names and values (only <code>A-Z a-z 0-9 - _ . ~</code> stay as they are) and join them with <code>=</code> and <code>&amp;</code>.</li>
<li>StringToSign = <code>METHOD&amp;%2F&amp;percentEncode(that)</code>.</li>
<li><code>Signature</code> = Base64(HMAC-SHA1(secret + <code>&amp;</code>, StringToSign)).</li></ol>
<p><code>ACS3-HMAC-SHA256</code> in the <code>Authorization</code> header is taken too. From a shell: <code>weir api DescribeGroups PageSize=5</code>.</p></section>"##;
