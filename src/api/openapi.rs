//! The OpenAPI 3.1 description, made from the declarations of the actions.

use super::action::{Entry, Who};
use super::param::{self, Spec};
use super::reply::{Field, Shape};
use super::{NOUNS, dispatch};
use serde_json::{Map, Value, json};

/// The description of the whole API.
pub fn document(server: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    let mut tags = Vec::new();
    for noun in NOUNS {
        tags.push(json!({ "name": noun.title, "description": noun.title_zh }));
        for entry in noun.actions {
            // All actions share one path; the fragment, which no client sends, keeps them apart.
            paths.insert(format!("/#Action={}", entry.name), operations(noun.title, entry, &mut schemas));
        }
    }
    schemas.insert("Failure".to_owned(), failure());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Weir",
            "version": dispatch::VERSION,
            "description": "Video surveillance: groups, devices, channels, streams, templates, records, statistics. Every call is signed: \
                either with Signature 1.0 (HMAC-SHA1 over all parameters) or with ACS3-HMAC-SHA256 (in headers). \
                Parameters travel in the query string or, with POST, in a form.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": server }],
        "tags": tags,
        "paths": paths,
        "components": { "schemas": schemas, "parameters": common(), "responses": responses(), "securitySchemes": schemes() },
        "security": [{ "AccessKeyId": [], "Signature": [] }, { "Acs3": [] }],
    })
}

fn operations(tag: &str, entry: &Entry, schemas: &mut Map<String, Value>) -> Value {
    let reply = match (entry.reply)() {
        Shape::Object(name, fields) => {
            let mut schema = object(name, fields, schemas);
            schema["properties"]["RequestId"] = request_id();
            schema["required"] = json!(["RequestId"]);
            schema
        }
        other => schema_of(other, schemas),
    };
    let refs = ["Version", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp", "Format", "ResourceOwnerAccount"];
    let refs = refs.map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }));
    let action = json!({ "name": "Action", "in": "query", "required": true, "schema": { "type": "string", "enum": [entry.name] } });
    let responses = json!({
        "200": { "description": "Done.", "content": { "application/json": { "schema": reply } } },
        "408": { "$ref": "#/components/responses/Late" },
        "413": { "$ref": "#/components/responses/BodyTooLarge" },
        "431": { "$ref": "#/components/responses/HeadTooLarge" },
        "4XX": { "$ref": "#/components/responses/Refused" },
        "5XX": { "$ref": "#/components/responses/Failed" },
    });
    let summary = param::english(entry.doc);
    let mut parameters = vec![action.clone()];
    parameters.extend(refs.iter().cloned());
    let post_parameters = parameters.clone();
    parameters.extend(entry.params.iter().map(parameter));
    let mut properties = Map::new();
    let mut required = Vec::new();
    for spec in entry.params {
        let mut schema = schema_in(spec);
        schema["description"] = described(spec.doc).into();
        properties.insert(spec.name.to_owned(), schema);
        if spec.required {
            required.push(spec.name);
        }
    }
    let mut form = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        form["required"] = json!(required);
    }
    let operation = |id: String, parameters: Vec<Value>| {
        json!({
            "operationId": id,
            "tags": [tag],
            "summary": summary,
            "description": described(entry.doc),
            "x-operator-only": entry.who == Who::Operator,
            "parameters": parameters,
            "responses": responses,
        })
    };
    let get = operation(entry.name.to_owned(), parameters);
    let mut post = operation(format!("{}Form", entry.name), post_parameters);
    post["requestBody"] =
        json!({ "required": !required.is_empty(), "content": { "application/x-www-form-urlencoded": { "schema": form } } });
    json!({ "get": get, "post": post })
}

fn described(doc: &[&str]) -> String {
    match param::chinese(doc) {
        zh if zh.is_empty() => param::english(doc),
        zh => format!("{}\n\n{zh}", param::english(doc)),
    }
}

fn parameter(spec: &Spec) -> Value {
    json!({ "name": spec.name, "in": "query", "required": spec.required, "description": described(spec.doc), "schema": schema_in(spec) })
}

fn schema_in(spec: &Spec) -> Value {
    let shape = &spec.shape;
    let mut schema = json!({});
    let mut set = |name: &str, value: Value| schema[name] = value;
    if shape.list {
        // On the wire a list is one text: values between commas, or a JSON array.
        set("type", json!("string"));
        set("minLength", json!(1));
        set("examples", json!([shape.sample]));
        return schema;
    }
    set(
        "type",
        json!(match shape.kind {
            param::Kind::String => "string",
            param::Kind::Integer => "integer",
            param::Kind::Number => "number",
            param::Kind::Boolean => "boolean",
        }),
    );
    if let Some((min, max)) = shape.range {
        set("minimum", json!(min));
        set("maximum", json!(max));
    }
    if let Some(max) = shape.max_len {
        set("maxLength", json!(max));
        if spec.required {
            set("minLength", json!(1));
        }
    }
    if !shape.values.is_empty() {
        set("enum", json!(shape.values));
    }
    if let Some(format) = shape.format {
        set("format", json!(format));
    }
    if let Some(default) = shape.default {
        set("default", typed(shape.kind, default));
    }
    set("examples", json!([typed(shape.kind, shape.sample)]));
    schema
}

fn typed(kind: param::Kind, text: &str) -> Value {
    match kind {
        param::Kind::String => json!(text),
        _ => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
    }
}

fn object(name: &str, fields: &[Field], schemas: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for field in fields {
        let mut schema = schema_of((field.shape)(), schemas);
        schema["description"] = described(field.doc).into();
        for also in field.also {
            properties.insert((*also).to_owned(), schema.clone());
        }
        properties.insert(field.name.to_owned(), schema);
    }
    json!({ "type": "object", "title": name, "properties": properties })
}

fn schema_of(shape: Shape, schemas: &mut Map<String, Value>) -> Value {
    match shape {
        Shape::String => json!({ "type": "string" }),
        Shape::Integer => json!({ "type": "integer" }),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Any => json!({}),
        Shape::List(item) => json!({ "type": "array", "items": schema_of(item(), schemas) }),
        Shape::Object(name, fields) => {
            if !schemas.contains_key(name) {
                schemas.insert(name.to_owned(), Value::Null);
                let schema = object(name, fields, schemas);
                schemas.insert(name.to_owned(), schema);
            }
            json!({ "$ref": format!("#/components/schemas/{name}") })
        }
    }
}

fn request_id() -> Value {
    json!({ "type": "string", "description": "Names this call in the answer, in the X-Request-Id header and in the server's log." })
}

fn failure() -> Value {
    json!({
        "type": "object",
        "required": ["Status", "Code", "HostId", "Message", "RequestId", "Data"],
        "properties": {
            "Status": { "type": "integer", "const": 0 },
            "Code": { "type": "string", "description": "What programs look at." },
            "HostId": { "type": "string" },
            "Message": { "type": "string", "description": "Names the parameter or object at fault." },
            "RequestId": request_id(),
            "Data": { "type": "object" },
        },
    })
}

fn responses() -> Value {
    let of = |text: &str| {
        let schema = json!({ "$ref": "#/components/schemas/Failure" });
        json!({ "description": text, "content": { "application/json": { "schema": schema } } })
    };
    json!({
        "Refused": of("The call is refused: Code and Message say why."),
        "Late": of("The request did not come in time (RequestTimeout)."),
        "BodyTooLarge": of("The form is longer than the server takes (RequestEntityTooLarge): 1 MiB where it is not set otherwise."),
        "HeadTooLarge": of(
            "The address with its parameters, or the headers, are longer than the server takes (RequestHeaderTooLarge): 16 KiB where it \
             is not set otherwise. A form may be longer."
        ),
        "Failed": of("The server, or a device that it asked, failed."),
    })
}

fn common() -> Value {
    let of = |name: &str, required: bool, doc: &str, schema: Value| json!({ "name": name, "in": "query", "required": required, "description": doc, "schema": schema });
    let text = || json!({ "type": "string" });
    // A call that is signed in its headers carries none of these, so none can be required.
    json!({
        "Version": of("Version", false, "The version of the API.", json!({ "type": "string", "enum": [dispatch::VERSION] })),
        "SignatureMethod": of("SignatureMethod", false, "How the call is signed.", json!({ "type": "string", "enum": ["HMAC-SHA1"] })),
        "SignatureVersion": of("SignatureVersion", false, "Version of the signature; also spelled signature_version.", json!({ "type": "string", "enum": ["1.0"] })),
        "SignatureNonce": of("SignatureNonce", false, "A random number, different for each call.", json!({ "type": "string", "maxLength": 128 })),
        "Timestamp": of("Timestamp", false, "When the call was made, in UTC.", json!({ "type": "string", "format": "date-time" })),
        "Format": of("Format", false, "The form of the answer.", json!({ "type": "string", "enum": ["JSON", "json"], "default": "JSON" })),
        "ResourceOwnerAccount": of("ResourceOwnerAccount", false, "Taken and ignored.", text()),
    })
}

fn schemes() -> Value {
    json!({
        "AccessKeyId": { "type": "apiKey", "in": "query", "name": "AccessKeyId", "description": "The id of the access key." },
        "Signature": { "type": "apiKey", "in": "query", "name": "Signature",
            "description": "Base64 of HMAC-SHA1 over METHOD&%2F&percentEncode(sorted parameters), with the secret and & as the key." },
        "Acs3": { "type": "apiKey", "in": "header", "name": "Authorization",
            "description": "ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…, with x-acs-action, x-acs-version, x-acs-date, x-acs-signature-nonce and x-acs-content-sha256." },
    })
}
