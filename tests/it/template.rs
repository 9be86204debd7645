//! The template against the code, and against what only AWS would notice.

mod front_door;

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

/// What the template gives every function, and what Lambda or a user may add.
const GLOBAL: [&str; 3] = ["ENVIRONMENT", "LOG_LEVEL", "BACKBONE_VERSION"];

/// The text of a file of the repository.
pub(crate) fn repository_file(path: &str) -> String {
    let path = format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|problem| panic!("{path}: {problem}"))
}

pub(crate) fn template() -> Value {
    serde_yaml_ng::from_str(&repository_file("template.yaml")).unwrap()
}

/// A value without the tag (`!Ref`, `!GetAtt` …) that it may carry.
pub(crate) fn untagged(value: &Value) -> &Value {
    if let Value::Tagged(tagged) = value { &tagged.value } else { value }
}

/// A statement that may be conditional, as `!If [condition, statement, NoValue]`.
pub(crate) fn unconditional(statement: &Value) -> &Value {
    if let Value::Tagged(tagged) = statement { &tagged.value[1] } else { statement }
}

fn resources(template: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let resources = template["Resources"].as_mapping().unwrap();
    resources
        .iter()
        .map(|(id, resource)| (id.as_str().unwrap(), resource["Type"].as_str().unwrap(), resource))
}

pub(crate) fn of_type<'a>(template: &'a Value, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    resources(template)
        .filter(move |(_, found, _)| *found == kind)
        .map(|(id, _, resource)| (id, &resource["Properties"]))
}

fn names(value: &Value) -> BTreeSet<&str> {
    value.as_mapping().into_iter().flatten().filter_map(|(name, _)| name.as_str()).collect()
}

#[test]
fn functions_say_the_version_that_they_are() {
    let version = &template()["Globals"]["Function"]["Environment"]["Variables"]["BACKBONE_VERSION"];
    assert_eq!(version.as_str(), Some(env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_function_gets_exactly_the_variables_that_its_code_asks_for() {
    let template = template();
    let global = names(&template["Globals"]["Function"]["Environment"]["Variables"]);
    assert_eq!(global, BTreeSet::from(GLOBAL));
    let asked = [
        ("AuthorizerFunction", authorizer::SETTINGS.to_vec()),
        ("ConnectionFunction", connection::SETTINGS.to_vec()),
        ("ReceiptFunction", [&receipt::SETTINGS[..], &receipt::OPTIONAL_SETTINGS].concat()),
        ("ConsumerFunction", [&consumer::SETTINGS[..], &consumer::OPTIONAL_SETTINGS].concat()),
        (
            "RegistryEventsFunction",
            [&registry_events::SETTINGS[..], &registry_events::OPTIONAL_SETTINGS].concat(),
        ),
    ];
    let functions: Vec<_> = of_type(&template, "AWS::Serverless::Function").collect();
    assert_eq!(functions.len(), asked.len());
    for (id, settings) in asked {
        let (_, properties) = functions.iter().find(|(found, _)| *found == id).unwrap();
        let given = names(&properties["Environment"]["Variables"]);
        assert_eq!(given, settings.into_iter().collect(), "{id}");
    }
}

#[test]
fn every_function_has_a_role_of_its_own_without_wildcards() {
    let template = template();
    let mut roles = BTreeSet::new();
    for (id, properties) in of_type(&template, "AWS::Serverless::Function") {
        let role = untagged(&properties["Role"]).as_str().unwrap();
        assert!(roles.insert(role.to_owned()), "{id} shares {role}");
        let role = role.strip_suffix(".Arn").unwrap();
        let statements =
            &template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
        for statement in statements.as_sequence().unwrap().iter().map(unconditional) {
            let resource = &statement["Resource"];
            let resources = resource.as_sequence().map_or(std::slice::from_ref(resource), Vec::as_slice);
            let is_whole = resources.iter().any(|resource| untagged(resource).as_str() == Some("*"));
            assert_eq!(is_whole, statement["Sid"].as_str() == Some("SendTraces"), "{role}: {statement:?}");
            let action = &statement["Action"];
            let actions: Vec<&str> = action
                .as_str()
                .into_iter()
                .chain(action.as_sequence().into_iter().flatten().filter_map(Value::as_str))
                .collect();
            assert!(
                !actions.is_empty() && actions.iter().all(|action| !action.ends_with(":*")),
                "{role}: {actions:?}"
            );
        }
    }
}

/// API Gateway passes a route's answer on only with both; the emulator replies without.
#[test]
fn routes_that_answer_have_a_route_response_on_aws() {
    let template = template();
    let answering: BTreeSet<_> = of_type(&template, "AWS::ApiGatewayV2::Route")
        .filter(|(_, properties)| properties.get("RouteResponseSelectionExpression").is_some())
        .map(|(id, properties)| (id, properties["RouteKey"].as_str().unwrap()))
        .collect();
    let keys: BTreeSet<_> = answering.iter().map(|(_, key)| *key).collect();
    assert_eq!(keys, BTreeSet::from(["heartbeat", "enqueue"]));
    let answered: BTreeSet<_> = resources(&template)
        .filter(|(_, kind, _)| *kind == "AWS::ApiGatewayV2::RouteResponse")
        .map(|(_, _, resource)| {
            assert_eq!(resource["Condition"].as_str(), Some("OnAws"), "MiniStack refuses the type");
            assert_eq!(resource["Properties"]["RouteResponseKey"].as_str(), Some("$default"));
            untagged(&resource["Properties"]["RouteId"]).as_str().unwrap()
        })
        .collect();
    assert_eq!(answered, answering.iter().map(|(id, _)| *id).collect());
}

/// The emulator needs no permissions and checks no times; AWS does both.
#[test]
fn what_only_aws_would_refuse_is_right() {
    let template = template();
    let invoked =
        ["Authorizer", "Connection", "Receipt", "RegistryEvents"].map(|name| format!("{name}Function"));
    let permitted: BTreeSet<_> = of_type(&template, "AWS::Lambda::Permission")
        .map(|(_, properties)| untagged(&properties["FunctionName"]).as_str().unwrap().to_owned())
        .collect();
    assert_eq!(permitted, BTreeSet::from(invoked));
    let default = |parameter: &str| template["Parameters"][parameter]["Default"].as_u64().unwrap();
    assert!(default("QueueVisibilitySeconds") >= 6 * default("ConsumerTimeoutSeconds"));
    assert!(default("EventsVisibilitySeconds") >= 6 * default("RegistryEventsTimeoutSeconds"));
    assert!(default("QueueMaxReceives") > u64::from(backbone::limits::RECEIVES_BEFORE_MAILBOX));
    assert!(default("ConnectionLeaseSeconds") > 7_200, "API Gateway ends a connection after two hours");
    for (function, name) in [
        ("ConsumerFunction", "Receipts"),
        ("ConsumerFunction", "PeerReceipts"),
        ("RegistryEventsFunction", "Events"),
    ] {
        let types = &template["Resources"][function]["Properties"]["Events"][name]["Properties"]["FunctionResponseTypes"];
        assert_eq!(types[0].as_str(), Some("ReportBatchItemFailures"), "{function} {name}");
    }
}

/// Lambda ends a chain of messages that a function sends to itself after 16, unless it may go on; the emulator never does.
#[test]
fn who_sends_to_its_own_queue_may_go_on_doing_so_and_nobody_else_may() {
    let template = template();
    for (id, properties) in of_type(&template, "AWS::Serverless::Function") {
        let sends_to_itself = id == "ConsumerFunction";
        assert_eq!(properties["RecursiveLoop"].as_str(), sends_to_itself.then_some("Allow"), "{id}");
    }
}

/// A permission names the routes that may use it, and MiniStack asks for none.
#[test]
fn every_http_route_may_invoke_its_function() {
    let template = template();
    let text = |value: &Value| untagged(value).as_str().unwrap().to_owned();
    let permits = |function: &str, method: &str, path: &str| {
        let allowed = [format!("*/{method}{path}"), format!("*/*{path}")];
        of_type(&template, "AWS::Lambda::Permission").any(|(_, permission)| {
            let routes = text(&permission["SourceArn"]);
            let routes = routes.split_once(":${HttpApi}/").map(|(_, routes)| routes.to_owned());
            text(&permission["FunctionName"]) == function
                && routes.is_some_and(|routes| allowed.contains(&routes))
        })
    };
    let mut routes = 0;
    for (id, route) in of_type(&template, "AWS::ApiGatewayV2::Route") {
        if text(&route["ApiId"]) != "HttpApi" {
            continue;
        }
        let (key, target) = (text(&route["RouteKey"]), text(&route["Target"]));
        let (method, path) = key.split_once(' ').unwrap();
        let integration = target.strip_prefix("integrations/${").unwrap().trim_end_matches('}');
        let function = text(&template["Resources"][integration]["Properties"]["IntegrationUri"]);
        assert!(permits(function.strip_suffix(".Arn").unwrap(), method, path), "{id}");
        routes += 1;
    }
    assert!(routes > 0);
}

/// MiniStack tells nobody of its stacks, so only the template can show that a deployment is followed by a look at the
/// registry.
#[test]
fn the_registry_is_looked_at_after_a_deployment_and_then_every_five_minutes() {
    let template = template();
    let events = &template["Resources"]["RegistryEventsFunction"]["Properties"]["Events"];
    assert_eq!(events["Reconcile"]["Properties"]["Schedule"].as_str(), Some("rate(5 minutes)"));
    let pattern = &events["Deployed"]["Properties"]["Pattern"];
    assert_eq!(pattern["detail-type"][0].as_str(), Some("CloudFormation Stack Status Change"));
    assert_eq!(untagged(&pattern["detail"]["stack-id"][0]).as_str(), Some("AWS::StackId"));
    let statuses = pattern["detail"]["status-details"]["status"].as_sequence().unwrap();
    let statuses: Vec<_> = statuses.iter().filter_map(Value::as_str).collect();
    assert_eq!(statuses, ["CREATE_COMPLETE", "UPDATE_COMPLETE"]);
}

/// The local AWS has no TLS, and `CloudFormation` lets one policy of a queue replace another without a word.
#[test]
fn every_queue_has_one_policy_and_only_peers_may_send_from_outside() {
    let template = template();
    let mut seen = BTreeSet::new();
    for (id, properties) in of_type(&template, "AWS::SQS::QueuePolicy") {
        for queue in properties["Queues"].as_sequence().unwrap() {
            let queue = untagged(queue).as_str().unwrap();
            assert!(seen.insert(queue.to_owned()), "{queue} has a second policy: {id}");
        }
        let statements = properties["PolicyDocument"]["Statement"].as_sequence().unwrap();
        let statements: Vec<_> = statements.iter().map(unconditional).collect();
        let sids: BTreeSet<_> =
            statements.iter().map(|statement| statement["Sid"].as_str().unwrap()).collect();
        assert!(sids.contains("OnlyOverTls"), "{id}");
        for statement in statements.iter().filter(|statement| statement["Effect"].as_str() == Some("Allow")) {
            assert_eq!((id, statement["Sid"].as_str()), ("PeerQueuePolicy", Some("PeersSend")));
            assert_eq!(statement["Action"].as_str(), Some("sqs:SendMessage"));
            assert_eq!(untagged(&statement["Principal"]["AWS"]).as_str(), Some("PeerAccounts"));
            assert_eq!(untagged(&statement["Resource"]).as_str(), Some("PeerQueue.Arn"));
        }
    }
    let queues = of_type(&template, "AWS::SQS::Queue").map(|(id, _)| id.to_owned()).collect();
    assert_eq!(seen, queues);
}

#[test]
fn what_must_survive_does() {
    let template = template();
    for (id, properties) in of_type(&template, "AWS::DynamoDB::Table") {
        let is_on = |value: &Value| value.as_bool() == Some(true);
        assert!(is_on(&properties["SSESpecification"]["SSEEnabled"]), "{id} is not encrypted");
        let recovery = &properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
        assert!(is_on(recovery), "{id} cannot be restored");
        let protected = untagged(&properties["DeletionProtectionEnabled"]);
        assert_eq!(protected[0].as_str(), Some("IsProd"), "{id} can be deleted in prod");
        assert!(is_on(&protected[1]), "{id} can be deleted in prod");
    }
    for (id, properties) in of_type(&template, "AWS::SQS::Queue") {
        assert_eq!(properties["SqsManagedSseEnabled"].as_bool(), Some(true), "{id} is not encrypted");
    }
}
