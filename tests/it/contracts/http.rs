//! Routes, codes, bodies and queries against `openapi.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use backbone::error_code::ErrorCode;
use backbone::intake::PostedReceipt;
use serde_json::{Value, json};

use super::document::{Document, keys, names_in_code, without};
use crate::template::{of_type, repository_file, template, untagged};

const RECEIPTS: &str = "/v1/relay/delivery-receipts";
const ULID: &str = "01KN33X0KRM9Q3MFS6RVPP6F7F";
const SENDER: &str = "did:cdi:registry.clawdentity.com:agent:01KN0HGEG0G5PGG168DAWPBYT2";
const RECIPIENT: &str = "did:cdi:registry.clawdentity.com:agent:01KN0HGEG0QK6E4CV6JTD76TK7";

/// Every operation, as `METHOD /path`.
fn operations(openapi: &Document) -> BTreeMap<String, &Value> {
    let mut operations = BTreeMap::new();
    for (path, item) in openapi.members(openapi.at("/paths")) {
        for (method, operation) in openapi.members(item) {
            operations.insert(format!("{} {path}", method.to_uppercase()), operation);
        }
    }
    operations
}

/// The codes that an operation's status is documented with, and their examples.
fn documented<'a>(
    openapi: &'a Document,
    operation: &'a Value,
) -> impl Iterator<Item = (u16, &'a str, &'a Value)> {
    openapi.members(openapi.get(operation, "responses")).flat_map(|(status, response)| {
        let content = response.pointer("/content/application~1json/examples");
        let examples = content.into_iter().flat_map(|examples| openapi.members(examples));
        examples.map(move |(code, example)| (status.parse().unwrap(), code, &example["value"]))
    })
}

#[test]
fn the_routes_are_the_templates() {
    let (openapi, template) = (Document::openapi(), template());
    let routes: BTreeSet<_> = of_type(&template, "AWS::ApiGatewayV2::Route")
        .filter(|(_, properties)| untagged(&properties["ApiId"]).as_str() == Some("HttpApi"))
        .map(|(_, properties)| properties["RouteKey"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(operations(&openapi).into_keys().collect::<BTreeSet<_>>(), routes);
}

#[test]
fn every_code_is_documented_with_its_status_and_its_message_and_no_other() {
    let openapi = Document::openapi();
    let envelope = openapi.at("/components/schemas/Error");
    let mut found = BTreeSet::new();
    for operation in operations(&openapi).into_values() {
        for (status, code, example) in documented(&openapi, operation) {
            openapi.check(envelope, example).unwrap();
            let error = &example["error"];
            assert_eq!(error["code"], code);
            found.insert((status, code.to_owned(), error["message"].as_str().unwrap().to_owned()));
        }
    }
    let said: BTreeSet<_> = ErrorCode::ALL
        .iter()
        .map(|code| (code.http_status(), code.as_str().to_owned(), code.message().to_owned()))
        .collect();
    assert_eq!(found, said);
}

#[test]
fn every_answer_of_ours_carries_the_request_id_and_429_says_when() {
    let openapi = Document::openapi();
    for (name, operation) in operations(&openapi) {
        for (status, response) in openapi.members(openapi.get(operation, "responses")) {
            let headers = response.get("headers").map(keys).unwrap_or_default();
            // What fails is answered for by API Gateway.
            assert_eq!(headers.contains("x-request-id"), status != "500", "{name} {status}");
            assert_eq!(headers.contains("retry-after"), status == "429", "{name} {status}");
        }
    }
}

/// The parser knows no field that is not documented, and every documented one is in it.
#[test]
fn the_fields_that_are_read_are_those_that_are_documented() {
    let openapi = Document::openapi();
    let mut documented = openapi.properties(openapi.at("/components/schemas/PostedReceipt"));
    let asked = operations(&openapi)["GET /v1/relay/delivery-receipts"]["parameters"].clone();
    let asked = asked.as_array().unwrap().iter().map(|parameter| openapi.resolve(parameter));
    let asked = asked.filter(|parameter| parameter["in"] == "query");
    documented.extend(asked.map(|parameter| parameter["name"].as_str().unwrap().to_owned()));
    assert_eq!(names_in_code("functions/backbone/src/intake.rs"), documented);
    let details = openapi.properties(openapi.at("/components/schemas/ErrorDetails"));
    let mut known = names_in_code("functions/backbone/src/acceptance.rs");
    // Those of posted events are looked at in events.rs.
    known.extend(["index", "reason", "events", "maxEvents"].map(str::to_owned));
    assert_eq!(known, details);
}

fn body() -> Value {
    json!({
        "requestId": ULID, "senderAgentDid": SENDER, "recipientAgentDid": RECIPIENT,
        "status": "dead_lettered", "reason": "webhook answered 500",
    })
}

/// What the schema lets through the parser takes, and what the one refuses the other does.
#[test]
fn schema_and_parser_agree_about_bodies() {
    let first = json!({
        "frameId": ULID, "fromAgentDid": SENDER, "toAgentDid": RECIPIENT, "status": "processed_by_openclaw",
    });
    let mut bodies = vec![body(), first.clone(), json!([]), json!("x"), json!({})];
    for body in [&body(), &first] {
        let fields = body.as_object().unwrap().keys();
        bodies.extend(fields.map(|field| without(body, field)));
    }
    let changed = |field: &str, value: Value| {
        let mut body = body();
        body[field] = value;
        body
    };
    bodies.extend([
        changed("requestId", json!(ULID.to_lowercase())),
        changed("requestId", json!(format!(" {ULID}\n"))),
        changed("requestId", json!("81KN33X0KRM9Q3MFS6RVPP6F7F")),
        changed("requestId", json!(7)),
        changed("frameId", json!(ULID)),
        changed("senderAgentDid", json!(SENDER.to_lowercase())),
        changed("senderAgentDid", json!("did:cdi:localhost:agent:01KN0HGEG0G5PGG168DAWPBYT2")),
        changed("recipientAgentDid", json!("did:cdi:a-.com:agent:01KN0HGEG0G5PGG168DAWPBYT2")),
        changed("recipientAgentDid", json!(format!(" {RECIPIENT}"))),
        changed("status", json!("delivered")),
        changed("status", json!(" delivered_to_webhook")),
        changed("status", json!(null)),
        changed("reason", json!(null)),
        changed("reason", json!(7)),
        changed("reason", json!("x".repeat(5_000))),
        changed("processedAt", json!("yesterday")),
        changed("senderProxyUrl", json!("https://Proxy.Example:8443/")),
        changed("senderProxyUrl", json!("proxy.example")),
        changed("senderProxyUrl", json!("https://proxy.example/path")),
        changed("senderProxyUrl", json!(" ")),
        changed("senderProxyUrl", json!(null)),
        changed("senderProxyUrl", json!(7)),
        changed("somethingElse", json!({})),
    ]);
    let openapi = Document::openapi();
    let schema = openapi.at("/components/schemas/PostedReceipt");
    let (mut taken, mut refused) = (0, 0);
    for body in bodies {
        let parsed = PostedReceipt::parse(body.to_string().as_bytes());
        let checked = openapi.check(schema, &body);
        assert_eq!(parsed.is_ok(), checked.is_ok(), "{parsed:?} {checked:?} {body}");
        if parsed.is_ok() { taken += 1 } else { refused += 1 }
    }
    assert!(taken > 5 && refused > 5, "{taken} taken, {refused} refused");
}

/// The signed vectors are the contract's; what they expect is documented.
#[test]
fn what_the_vectors_expect_is_documented() {
    let vectors: Value = serde_json::from_str(&repository_file("tests/vectors.json")).unwrap();
    let openapi = Document::openapi();
    let operations = operations(&openapi);
    let mut looked_at = 0;
    for case in ["positive", "negative"].iter().flat_map(|kind| vectors[kind].as_array().unwrap()) {
        let (name, request, expect) = (&case["name"], &case["request"], &case["expect"]);
        let path = request["pathWithQuery"].as_str().unwrap().split('?').next().unwrap();
        if path != RECEIPTS {
            continue; // the handshake, which is in asyncapi.yaml
        }
        let operation = operations[&format!("{} {path}", request["method"].as_str().unwrap())];
        let status = u16::try_from(expect["status"].as_u64().unwrap()).unwrap();
        let response = openapi.get(openapi.get(operation, "responses"), &status.to_string());
        if let Some(code) = expect["errorCode"].as_str() {
            let codes = documented(&openapi, operation).map(|(status, code, _)| (status, code));
            assert!(codes.collect::<Vec<_>>().contains(&(status, code)), "{name}: {status} {code}");
        }
        if let Some(body) = expect.get("responseJson") {
            openapi.check(&response["content"]["application/json"]["schema"], body).unwrap();
        }
        if let (Some(body), true) = (request["body"].as_str(), status == 202) {
            let schema = openapi.at("/components/schemas/PostedReceipt");
            openapi.check(schema, &serde_json::from_str(body).unwrap()).unwrap();
        }
        looked_at += 1;
    }
    assert!(looked_at > 25, "{looked_at} cases");
}
