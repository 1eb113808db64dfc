//! `weir doctor DEVICE`: what is wrong with a device, by the running server's account.

use super::api::{Target, call};
use serde_json::Value;
use std::fmt::Write;
use std::process::ExitCode;

/// The arguments of `weir doctor`.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// The device: its id, or its GB/T 28181 id of 20 digits.
    #[arg(value_name = "DEVICE")]
    pub device: String,
    /// Print the last SIP messages too, with their descriptions of media.
    #[arg(long, short)]
    pub messages: bool,
    /// Print everything as JSON.
    #[arg(long, conflicts_with = "messages")]
    pub json: bool,
    /// Where the server is; this machine's own by default.
    #[arg(long, env = "WEIR_URL", value_name = "URL")]
    pub url: Option<String>,
    /// The access key to sign with; the local server's root key by default.
    #[arg(long, env = "WEIR_ACCESS_KEY_ID", requires = "secret", value_name = "ID")]
    pub key: Option<String>,
    /// Its secret.
    #[arg(long, env = "WEIR_ACCESS_KEY_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub secret: Option<String>,
}

/// Asks the server and prints what it says. A device with which nothing is wrong makes the exit code 0, any other 1.
pub async fn run(target: &Target, args: &Args) -> Result<ExitCode, String> {
    let id = find(target, &args.device).await?;
    let answer = ask(target, "DiagnoseDevice", &[("Id", &id)]).await?;
    let text = match args.json {
        true => serde_json::to_string_pretty(&answer).map_err(|e| e.to_string())?,
        false => report(&answer, args.messages),
    };
    use std::io::Write as _;
    // A reader that went away (`| head`) is no failure.
    let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
    Ok(if is_well(&answer) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the server says where nothing is wrong.
fn is_well(answer: &Value) -> bool {
    matches!(answer["Verdict"].as_array().map(Vec::as_slice), Some([one]) if one == "Nothing is wrong.")
}

async fn ask(target: &Target, action: &str, pairs: &[(&str, &str)]) -> Result<Value, String> {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    match call(target, action, pairs).await? {
        (200..300, answer) => Ok(answer),
        (status, answer) => {
            Err(format!("{action}: {}", answer["Message"].as_str().map_or_else(|| format!("HTTP {status}"), str::to_owned)))
        }
    }
}

/// The id of a device by its id, or by its code in any group.
async fn find(target: &Target, device: &str) -> Result<String, String> {
    let is_code = device.len() == 20 && device.bytes().all(|byte| byte.is_ascii_digit());
    if !is_code {
        return Ok(device.to_owned());
    }
    let (mut found, mut page) = (Vec::new(), 1);
    loop {
        let number = page.to_string();
        let groups = ask(target, "DescribeGroups", &[("InProtocol", "gb28181"), ("PageSize", "100"), ("PageNum", &number)]).await?;
        for group in groups["Groups"].as_array().into_iter().flatten().filter_map(|group| group["Id"].as_str()) {
            let devices = ask(target, "DescribeDevices", &[("GroupId", group), ("GbId", device)]).await?;
            found.extend(devices["Devices"].as_array().into_iter().flatten().filter_map(|device| device["Id"].as_str().map(str::to_owned)));
        }
        if page >= groups["PageCount"].as_u64().unwrap_or(0) {
            break;
        }
        page += 1;
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(format!("no device has the id {device}")),
        several => Err(format!("several groups have a device {device}: name one of {}", several.join(", "))),
    }
}

/// The answer for people.
fn report(answer: &Value, messages: bool) -> String {
    let mut out = String::new();
    let found = &answer["Findings"];
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!("Device {} of platform {}: {}", text(&found["device"]), text(&found["platform"]), text(&found["status"])));
    if let Some(path) = found["path"].as_str() {
        let told = found["told"].as_str().unwrap_or("?");
        line(format!("  reached by {path}, was told {told}, speaks {}", text(&found["version"])));
    }
    if let Some(silence) = found["silence"].as_f64() {
        line(format!("  last heard {silence:.0} s ago; a sign of life each {:.0} s", found["interval"].as_f64().unwrap_or(0.0)));
    }
    line(String::new());
    for verdict in answer["Verdict"].as_array().into_iter().flatten() {
        line(format!("* {}", text(verdict)));
    }
    for call in found["calls"].as_array().into_iter().flatten() {
        line(String::new());
        line(format!("Call {}", text(&call["stream"])));
        media(&call["media"], &mut line);
        if messages {
            call["messages"].as_array().into_iter().flatten().for_each(|message| line(shown(message)));
        }
    }
    if messages {
        line("\nOutside of calls:".to_owned());
        found["messages"].as_array().into_iter().flatten().for_each(|message| line(shown(message)));
    }
    out
}

/// What arrived in a call.
fn media(media: &Value, line: &mut impl FnMut(String)) {
    if media.is_null() {
        return line("  no media yet".to_owned());
    }
    let number = |name: &str| media[name].as_f64().unwrap_or(0.0);
    line(format!("  {} over {}, port {}", text(&media["state"]), text(&media["transport"]), text(&media["port"])));
    let ssrc = |name: &str| media[name].as_u64().map_or_else(|| "none".to_owned(), |ssrc| format!("{ssrc:010}"));
    line(format!("  SSRC told {}, announced {}, came {}", ssrc("expected_ssrc"), ssrc("answered_ssrc"), ssrc("ssrc")));
    line(format!("  media from {}, announced as {}", text(&media["source"]), text(&media["answered_source"])));
    let payloads = media["payloads"].as_array().into_iter().flatten().map(|pair| format!("{} {}", text(&pair[0]), text(&pair[1])));
    let payloads = payloads.collect::<Vec<_>>().join(", ");
    let (packets, lost) = (number("packets"), number("lost"));
    let share = if packets + lost > 0.0 { lost * 100.0 / (packets + lost) } else { 0.0 };
    line(format!(
        "  {packets:.0} packets ({payloads}), {lost:.0} lost ({share:.2} %), {:.0} late, {:.0} twice, jitter {:.1} ms, {:.2} Mbit/s",
        number("late"),
        number("duplicates"),
        number("jitter_ms"),
        number("bits_per_second") / 1e6
    ));
    let frames = format!("{:.0} frames, {:.0} key frames, {:.0} damaged", number("frames"), number("key_frames"), number("damaged"));
    line(format!("  {frames}; {} and {}", text(&media["video"]), text(&media["audio"])));
    if let Some(findings) = media["findings"].as_object() {
        let told = findings.iter().filter(|(_, value)| !matches!(value, Value::Null | Value::Bool(false)) && value.as_u64() != Some(0));
        let mut list = String::new();
        for (name, value) in told.filter(|(_, value)| !value.is_object() && !value.is_array()) {
            // writing to a String cannot fail
            let _ = write!(list, "{}{} {}", if list.is_empty() { "" } else { ", " }, name.replace('_', " "), text(value));
        }
        if !list.is_empty() {
            line(format!("  program stream: {list}"));
        }
    }
}

fn shown(message: &Value) -> String {
    let way = if message["ours"].as_bool() == Some(true) { "to" } else { "from" };
    let ago = message["ago"].as_f64().unwrap_or(0.0);
    let body: String = message["text"].as_str().unwrap_or_default().lines().map(|line| format!("    {line}\n")).collect();
    format!("  {ago:.1} s ago {way} {}:\n{body}", text(&message["peer"]))
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_report_says_what_matters() {
        let message = json!({"ago": 1.5, "ours": true, "peer": "192.0.2.7:5060", "text": "INVITE sip:1 SIP/2.0\r\n\r\nv=0\r\n"});
        let media = json!({"state": "waiting", "transport": "udp", "port": 10000, "expected_ssrc": 200000001, "ssrc": null, "packets": 0});
        let answer = json!({
            "Verdict": ["live/1: the device answered and nothing arrives."],
            "Findings": {
                "device": "34020000001320000001", "platform": "34020000002000000001", "status": "on", "path": "udp/192.0.2.7:5060",
                "told": "10.0.0.1:5060", "version": "2.0", "silence": 3.2, "interval": 60.0, "messages": [],
                "calls": [{"stream": "live/1", "messages": [message], "media": media}],
            },
        });
        let short = report(&answer, false);
        assert!(short.contains("* live/1: the device answered and nothing arrives.\n"), "{short}");
        assert!(short.contains("reached by udp/192.0.2.7:5060, was told 10.0.0.1:5060"), "{short}");
        assert!(short.contains("SSRC told 0200000001, announced none, came none"), "{short}");
        assert!(!short.contains("INVITE"));
        let long = report(&answer, true);
        assert!(long.contains("1.5 s ago to 192.0.2.7:5060:\n    INVITE sip:1 SIP/2.0\n"), "{long}");
        assert!(!is_well(&answer) && is_well(&json!({"Verdict": ["Nothing is wrong."]})));
    }
}
