//! dynoxide, called in process: its own server keeps its dispatch to itself and would cost a second HTTP hop.

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Answer, Failure};
use crate::wire::Refusal;

pub(super) fn dispatch(database: &Database, action: &str, body: &[u8]) -> Answer {
    let db = database;
    match action {
        "CreateTable" => run(action, body, |input| db.create_table(input)),
        "DeleteTable" => run(action, body, |input| db.delete_table(input)),
        "DescribeTable" => run(action, body, |input| db.describe_table(input)),
        "UpdateTable" => run(action, body, |input| db.update_table(input)),
        "ListTables" => run(action, body, |input| db.list_tables(input)),
        "PutItem" => run(action, body, |input| db.put_item(input)),
        "GetItem" => run(action, body, |input| db.get_item(input)),
        "DeleteItem" => run(action, body, |input| db.delete_item(input)),
        "UpdateItem" => run(action, body, |input| db.update_item(input)),
        "Query" => run(action, body, |input| db.query(input)),
        "Scan" => run(action, body, |input| db.scan(input)),
        "BatchGetItem" => run(action, body, |input| db.batch_get_item(input)),
        "BatchWriteItem" => run(action, body, |input| db.batch_write_item(input)),
        "TransactWriteItems" => run(action, body, |input| db.transact_write_items(input)),
        "TransactGetItems" => run(action, body, |input| db.transact_get_items(input)),
        "UpdateTimeToLive" => run(action, body, |input| db.update_time_to_live(input)),
        "DescribeTimeToLive" => run(action, body, |input| db.describe_time_to_live(input)),
        "TagResource" => run(action, body, |input| db.tag_resource(input)),
        "UntagResource" => run(action, body, |input| db.untag_resource(input)),
        "ListTagsOfResource" => run(action, body, |input| db.list_tags_of_resource(input)),
        _ => Err(Refusal::bad_request("UnknownOperationException", "").into()),
    }
}

fn run<Input, Output>(
    action: &str,
    body: &[u8],
    operation: impl FnOnce(Input) -> dynoxide::Result<Output>,
) -> Answer
where
    Input: DeserializeOwned,
    Output: Serialize,
{
    let input = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let output = operation(input).map_err(|error| failure(action, &error))?;
    serde_json::to_string(&output)
        .map_err(|error| Refusal::new(500, "InternalServerError", error.to_string()).into())
}

fn failure(action: &str, error: &DynoxideError) -> Failure {
    match error {
        DynoxideError::EnvelopedValidation(message)
            if matches!(action, "PutItem" | "UpdateItem" | "DeleteItem") =>
        {
            Refusal::bad_request("ValidationException", format!("1 validation error detected: {message}"))
                .into()
        }
        _ => Failure { status: error.status_code(), document: error.to_json() },
    }
}

/// dynoxide's readers put the class of an error in front of its text, and serde the position behind it.
fn unreadable(error: &serde_json::Error) -> Failure {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    if text.starts_with("recursion limit exceeded") {
        let message = "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit";
        return Refusal::bad_request("ValidationException", message).into();
    }
    if let Some(message) =
        text.strip_prefix("VALIDATION:").or_else(|| text.strip_prefix("VALIDATION_REQUEST:"))
    {
        return Refusal::bad_request("ValidationException", message).into();
    }
    if ["missing field", "unknown variant", "invalid type: null", "Supplied AttributeValue"]
        .iter()
        .any(|sign| text.contains(sign))
    {
        return Refusal::bad_request("ValidationException", text).into();
    }
    let message = text.strip_prefix("SERIALIZATION:").unwrap_or(text);
    Refusal::bad_request("SerializationException", message).into()
}
