//! The front door on AWS, which nothing local can try.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

use super::{of_type, resources, template, untagged};

const CACHING_DISABLED: &str = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";
const ALL_VIEWER_EXCEPT_HOST_HEADER: &str = "b689b0a8-53d0-40ab-baf2-68738e2966ac";

fn distribution(template: &Value) -> &Value {
    &template["Resources"]["FrontDoorDistribution"]["Properties"]["DistributionConfig"]
}

/// The value for the condition, and the other one, of an `!If`.
fn choice(value: &Value) -> (&str, &Value, &Value) {
    let parts = untagged(value);
    (parts[0].as_str().unwrap(), &parts[1], &parts[2])
}

#[test]
fn connects_go_to_the_websocket_api_under_its_stage_and_all_else_to_the_http_api() {
    let template = template();
    let distribution = distribution(&template);
    let connect = &distribution["CacheBehaviors"][0];
    assert!(distribution["CacheBehaviors"][1].is_null(), "one path only goes elsewhere");
    assert_eq!(connect["PathPattern"].as_str(), Some(local::front_door::CONNECT_PATH));
    let rewriting = &connect["FunctionAssociations"][0];
    assert_eq!(rewriting["EventType"].as_str(), Some("viewer-request"));
    let function =
        untagged(&rewriting["FunctionARN"]).as_str().unwrap().strip_suffix(".FunctionARN").unwrap();
    let function = &template["Resources"][function]["Properties"];
    let code = untagged(&function["FunctionCode"]).as_str().unwrap();
    assert!(code.contains("event.request.uri = '/${Environment}';"), "{code}");
    assert!(!code.contains("querystring"), "the authorizer refuses a query, and must see it");
    let stage = &template["Resources"]["WebSocketStage"]["Properties"]["StageName"];
    assert_eq!(untagged(stage).as_str(), Some("Environment"));

    for (behaviour, api, methods) in
        [(connect, "WebSocketApi", 2), (&distribution["DefaultCacheBehavior"], "HttpApi", 7)]
    {
        assert_eq!(behaviour["CachePolicyId"].as_str(), Some(CACHING_DISABLED), "{api}");
        assert_eq!(behaviour["OriginRequestPolicyId"].as_str(), Some(ALL_VIEWER_EXCEPT_HOST_HEADER), "{api}");
        assert_eq!(behaviour["ViewerProtocolPolicy"].as_str(), Some("https-only"), "{api}");
        assert_eq!(behaviour["AllowedMethods"].as_sequence().unwrap().len(), methods, "{api}");
        let target = behaviour["TargetOriginId"].as_str();
        let mut origins = distribution["Origins"].as_sequence().unwrap().iter();
        let origin = origins.find(|origin| origin["Id"].as_str() == target).unwrap();
        let host = untagged(&origin["DomainName"]).as_str().unwrap();
        assert!(host.starts_with(&format!("${{{api}}}.execute-api.")), "{host}");
        // A prefix would be in the path that the HTTP API's function checks the proof over.
        assert!(origin.get("OriginPath").is_none(), "{api}");
    }
    let stages: Vec<_> = of_type(&template, "AWS::ApiGatewayV2::Stage")
        .filter(|(_, stage)| untagged(&stage["ApiId"]).as_str() == Some("HttpApi"))
        .map(|(_, stage)| stage["StageName"].as_str().unwrap())
        .collect();
    assert_eq!(stages, ["$default"], "any other stage would be in that path, too");
    for (id, api) in of_type(&template, "AWS::ApiGatewayV2::Api") {
        assert!(api.get("DisableExecuteApiEndpoint").is_none(), "{id}: @connections is there");
    }
}

#[test]
fn both_origins_get_the_secret_that_the_functions_ask_for() {
    let template = template();
    let mut secrets = Vec::new();
    for origin in distribution(&template)["Origins"].as_sequence().unwrap() {
        let header = &origin["OriginCustomHeaders"][0];
        let name = header["HeaderName"].as_str().unwrap();
        assert_eq!(name.to_lowercase(), backbone::front_door::ORIGIN_HEADER);
        assert_eq!(origin["CustomOriginConfig"]["OriginProtocolPolicy"].as_str(), Some("https-only"));
        assert_eq!(origin["CustomOriginConfig"]["OriginSSLProtocols"][0].as_str(), Some("TLSv1.2"));
        secrets.push(&header["HeaderValue"]);
    }
    assert_eq!(local::front_door::ORIGIN_HEADER.as_str(), backbone::front_door::ORIGIN_HEADER);
    for function in ["AuthorizerFunction", "ReceiptFunction"] {
        let variables = &template["Resources"][function]["Properties"]["Environment"]["Variables"];
        assert_eq!(choice(&variables["ALLOW_DIRECT"]).0, "AllowsDirect", "{function}");
        let (condition, none, secret) = choice(&variables["ORIGIN_SECRET"]);
        assert_eq!((condition, none.as_str()), ("AllowsDirect", Some("none")), "{function}");
        secrets.push(secret);
    }
    assert!(secrets.iter().all(|secret| *secret == secrets[0]), "{secrets:?}");
    let (condition, given, made) = choice(secrets[0]);
    assert_eq!((condition, untagged(given).as_str()), ("HasOriginSecret", Some("OriginSecret")));
    assert!(untagged(made).as_str().unwrap().starts_with("{{resolve:secretsmanager:"), "{made:?}");
    assert_eq!(template["Parameters"]["OriginSecret"]["NoEcho"].as_bool(), Some(true));
    let parameter = |name: &str| template["Parameters"][name]["Default"].as_str().map(str::to_owned);
    assert_eq!(parameter("FrontDoor").as_deref(), Some("yes"));
    assert_eq!(parameter("AllowDirect").as_deref(), Some("no"));
}

#[test]
fn what_the_emulator_cannot_serve_is_made_on_aws_only() {
    let template = template();
    let made: BTreeSet<_> = resources(&template)
        .filter(|(_, kind, _)| {
            kind.starts_with("AWS::CloudFront::") || kind.starts_with("AWS::SecretsManager::")
        })
        .map(|(id, _, resource)| (id, resource["Condition"].as_str().unwrap()))
        .collect();
    assert_eq!(
        made,
        BTreeSet::from([
            ("ConnectPathFunction", "HasFrontDoor"),
            ("FrontDoorDistribution", "HasFrontDoor"),
            ("FrontDoorSecret", "MakesOriginSecret"),
        ])
    );
    assert_eq!(template["Outputs"]["ProxyUrl"]["Condition"].as_str(), Some("HasFrontDoor"));
    let (condition, own, cloudfronts) = choice(&distribution(&template)["ViewerCertificate"]);
    assert_eq!(condition, "HasFrontDoorCertificate");
    assert_eq!(own["MinimumProtocolVersion"].as_str(), Some("TLSv1.2_2021"));
    assert_eq!(cloudfronts["CloudFrontDefaultCertificate"].as_bool(), Some(true));
    let pattern = template["Parameters"]["FrontDoorCertificateArn"]["AllowedPattern"].as_str().unwrap();
    assert!(pattern.contains(":us-east-1:"), "CloudFront takes certificates from there only");
}
