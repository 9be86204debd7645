//! The local AWS has the properties that the other tests stand on. Emulators have been found without them.

use acceptance::stack::{PrivateTable, Stack, TableKeys};
use acceptance::stamp;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use futures_util::future::join_all;

const RACES: usize = 50;
const RUNNERS: usize = 8;

#[tokio::test]
async fn of_several_conditional_writes_exactly_one_wins_and_the_losers_see_it() {
    let stack = Stack::running();
    let table = PrivateTable::create(&stack, TableKeys::CONNECTIONS).await.unwrap();
    let client = table.client();
    for _ in 0..RACES {
        let key = stamp::new_ulid();
        let runners = (0..RUNNERS).map(|runner| {
            client
                .update_item()
                .table_name(&table.name)
                .key("agentDid", AttributeValue::S(key.clone()))
                .update_expression("SET winner = :me")
                .condition_expression("attribute_not_exists(winner)")
                .expression_attribute_values(":me", AttributeValue::N(runner.to_string()))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .send()
        });
        let outcomes = join_all(runners).await;
        let winners = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(winners, 1);
        for outcome in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            let Some(UpdateItemError::ConditionalCheckFailedException(lost)) = outcome.as_service_error()
            else {
                panic!("{outcome:?}")
            };
            assert!(lost.item().is_some_and(|item| item.contains_key("winner")));
        }
    }
}

#[tokio::test]
async fn what_was_written_is_read() {
    let stack = Stack::running();
    let table = PrivateTable::create(&stack, TableKeys::RECEIPTS).await.unwrap();
    let client = table.client();
    for number in 0..RACES {
        let (key, item) = (AttributeValue::S(stamp::new_ulid()), AttributeValue::S("waiting#x".into()));
        client
            .put_item()
            .table_name(&table.name)
            .item("senderAgentDid", key.clone())
            .item("item", item)
            .item("number", AttributeValue::N(number.to_string()))
            .send()
            .await
            .unwrap();
        let found = client
            .query()
            .table_name(&table.name)
            .consistent_read(true)
            .key_condition_expression("senderAgentDid = :agent AND begins_with(#item, :waiting)")
            .expression_attribute_names("#item", "item")
            .expression_attribute_values(":agent", key)
            .expression_attribute_values(":waiting", AttributeValue::S("waiting#".into()))
            .send()
            .await
            .unwrap();
        assert_eq!(found.count(), 1);
    }
}
