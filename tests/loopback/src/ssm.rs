//! SSM Parameter Store: put, get and list by path. A SecureString is stored in plain.

use std::collections::BTreeMap;

use http::StatusCode;
use jiff::Timestamp;
use parking_lot::RwLock;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::call::Call;
use crate::caller::Service;
use crate::wire::{AMZ_JSON_1_1, Refusal, Reply};

/// `GetParameters` and `GetParametersByPath` hand out no more than this at once.
const MAX_RESULTS: usize = 10;

/// Account, region, name.
type Key = (String, String, String);

#[derive(Default)]
pub(crate) struct Ssm(RwLock<BTreeMap<Key, Parameter>>);

#[derive(Clone)]
struct Parameter {
    kind: String,
    value: String,
    version: u64,
    modified: Timestamp,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Input {
    name: Option<String>,
    names: Vec<String>,
    path: Option<String>,
    value: String,
    #[serde(rename = "Type")]
    kind: Option<String>,
    overwrite: bool,
    recursive: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
}

/// The parameter or path a call names.
pub(crate) fn resource(body: &[u8]) -> String {
    parse::<Input>(body).ok().and_then(|input| input.name.or(input.path)).unwrap_or_default()
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request("SerializationException", error.to_string()))
}

impl Ssm {
    pub(crate) fn answer(&self, call: &Call, body: &[u8]) -> Reply {
        match self.perform(call, body) {
            Ok(result) => Reply::new(StatusCode::OK, AMZ_JSON_1_1, result.to_string()),
            Err(refusal) => refusal.reply(Service::Ssm),
        }
    }

    fn perform(&self, call: &Call, body: &[u8]) -> Result<Value, Refusal> {
        let input = parse::<Input>(body)?;
        match call.action.as_str() {
            "PutParameter" => self.put(call, input),
            "GetParameter" => self.get(call, &input),
            "GetParameters" => self.get_several(call, &input),
            "GetParametersByPath" => self.list(call, &input),
            "DeleteParameter" => self.delete(call, &input),
            action => {
                Err(Refusal::bad_request("UnknownOperationException", format!("{action} is not known here")))
            }
        }
    }

    fn put(&self, call: &Call, input: Input) -> Result<Value, Refusal> {
        let key = key(call, named(&input)?);
        let mut parameters = self.0.write();
        let before = parameters.get(&key);
        if before.is_some() && !input.overwrite {
            return Err(Refusal::bad_request(
                "ParameterAlreadyExists",
                "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
            ));
        }
        let version = before.map_or(1, |parameter| parameter.version + 1);
        let kind =
            input.kind.or(before.map(|parameter| parameter.kind.clone())).unwrap_or_else(|| "String".into());
        parameters.insert(key, Parameter { kind, value: input.value, version, modified: Timestamp::now() });
        Ok(json!({ "Version": version, "Tier": "Standard" }))
    }

    fn get(&self, call: &Call, input: &Input) -> Result<Value, Refusal> {
        let name = named(input)?;
        let parameter = self.find(call, name).ok_or_else(not_found)?;
        Ok(json!({ "Parameter": describe(call, name, &parameter) }))
    }

    fn get_several(&self, call: &Call, input: &Input) -> Result<Value, Refusal> {
        if input.names.is_empty() || input.names.len() > MAX_RESULTS {
            return Err(Refusal::bad_request(
                "ValidationException",
                "Member must have length between 1 and 10",
            ));
        }
        let (mut found, mut invalid) = (Vec::new(), Vec::new());
        for name in &input.names {
            match self.find(call, name) {
                Some(parameter) => found.push(describe(call, name, &parameter)),
                None => invalid.push(name),
            }
        }
        Ok(json!({ "Parameters": found, "InvalidParameters": invalid }))
    }

    /// Pages in name order; the token is the last name of the page before.
    fn list(&self, call: &Call, input: &Input) -> Result<Value, Refusal> {
        let limit = input.max_results.unwrap_or(MAX_RESULTS);
        if !(1..=MAX_RESULTS).contains(&limit) {
            return Err(Refusal::bad_request("ValidationException", "maxResults must be between 1 and 10"));
        }
        let path = format!("{}/", input.path.as_deref().unwrap_or_default().trim_end_matches('/'));
        let after = input.next_token.clone().unwrap_or_default();
        let parameters = self.0.read();
        let mut page: Vec<_> = parameters
            .range(key(call, &path)..)
            .take_while(|((account, region, name), _)| {
                (account, region) == (&call.account, &call.region) && name.starts_with(&path)
            })
            .filter(|((_, _, name), _)| input.recursive || !name[path.len()..].contains('/'))
            .filter(|((_, _, name), _)| *name > after)
            .take(limit + 1)
            .collect();
        let more = page.len() > limit;
        page.truncate(limit);
        let next = page.last().filter(|_| more).map(|((_, _, name), _)| name.clone());
        let found: Vec<_> =
            page.into_iter().map(|((_, _, name), parameter)| describe(call, name, parameter)).collect();
        Ok(match next {
            Some(token) => json!({ "Parameters": found, "NextToken": token }),
            None => json!({ "Parameters": found }),
        })
    }

    fn delete(&self, call: &Call, input: &Input) -> Result<Value, Refusal> {
        self.0.write().remove(&key(call, named(input)?)).map(|_| json!({})).ok_or_else(not_found)
    }

    fn find(&self, call: &Call, name: &str) -> Option<Parameter> {
        self.0.read().get(&key(call, name)).cloned()
    }
}

fn named(input: &Input) -> Result<&str, Refusal> {
    input.name.as_deref().ok_or_else(|| Refusal::bad_request("ValidationException", "Name is required"))
}

fn key(call: &Call, name: &str) -> Key {
    (call.account.clone(), call.region.clone(), name.to_owned())
}

fn not_found() -> Refusal {
    Refusal::bad_request("ParameterNotFound", "The parameter could not be found.")
}

fn describe(call: &Call, name: &str, parameter: &Parameter) -> Value {
    json!({
        "Name": name,
        "Type": parameter.kind,
        "Value": parameter.value,
        "Version": parameter.version,
        "LastModifiedDate": parameter.modified.as_millisecond() as f64 / 1000.0,
        "ARN": format!("arn:aws:ssm:{}:{}:parameter/{}", call.region, call.account, name.trim_start_matches('/')),
        "DataType": "text",
    })
}
