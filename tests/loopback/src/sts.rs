//! STS: AssumeRole and GetCallerIdentity, over the query protocol.

use std::collections::HashMap;
use std::time::Duration;

use http::StatusCode;
use jiff::{Timestamp, Unit};
use uuid::Uuid;

use crate::caller::{Caller, Service};
use crate::iam::{Credentials, Iam, Role, access_denied};
use crate::wire::{Refusal, Reply, escape_xml};

const DEFAULT_DURATION_SECONDS: u64 = 3600;

type Form = HashMap<String, String>;

fn form(body: &[u8]) -> Form {
    form_urlencoded::parse(body).into_owned().collect()
}

/// Action and resource of a call.
pub(crate) fn target(body: &[u8]) -> (String, String) {
    let mut form = form(body);
    (form.remove("Action").unwrap_or_default(), form.remove("RoleArn").unwrap_or_default())
}

pub(crate) fn answer(iam: &Iam, caller: &Caller, body: &[u8]) -> Reply {
    let form = form(body);
    let action = form.get("Action").map_or("", String::as_str);
    let result = match action {
        "AssumeRole" => assume_role(iam, caller, &form),
        "GetCallerIdentity" => Ok(identity(caller)),
        _ => Err(Refusal::bad_request("InvalidAction", format!("Could not find operation {action}"))),
    };
    match result {
        Ok(result) => Reply::new(StatusCode::OK, "text/xml", envelope(action, &result)),
        Err(refusal) => refusal.reply(Service::Sts),
    }
}

fn envelope(action: &str, result: &str) -> String {
    let request_id = Uuid::new_v4();
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>{result}\
         </{action}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
    )
}

fn identity(caller: &Caller) -> String {
    let user_id = match &caller.session {
        None => caller.account.clone(),
        Some(session) => format!("AROALOOPBACK:{}", session.name),
    };
    format!(
        "<Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account>",
        escape_xml(&caller.arn()),
        escape_xml(&user_id),
        caller.account
    )
}

fn assume_role(iam: &Iam, caller: &Caller, form: &Form) -> Result<String, Refusal> {
    let arn = required(form, "RoleArn")?;
    let name = required(form, "RoleSessionName")?;
    let lifetime = lifetime(form)?;
    let role = iam
        .role(arn)
        .filter(|role| trusts(role, caller, form.get("ExternalId")))
        .ok_or_else(|| not_trusted(caller, arn))?;
    let assumed_arn = format!("arn:aws:sts::{}:assumed-role/{}/{name}", role.account(), role.name());
    let credentials = iam.open_session(role, name, lifetime);
    Ok(format!(
        "{}<AssumedRoleUser><AssumedRoleId>AROALOOPBACK:{name}</AssumedRoleId><Arn>{assumed_arn}</Arn></AssumedRoleUser>",
        credentials_xml(&credentials),
        name = escape_xml(name),
        assumed_arn = escape_xml(&assumed_arn),
    ))
}

fn required<'a>(form: &'a Form, name: &str) -> Result<&'a str, Refusal> {
    form.get(name).map(String::as_str).ok_or_else(|| {
        Refusal::bad_request("ValidationError", format!("1 validation error detected: {name} is required"))
    })
}

/// AWS allows 900 seconds to 12 hours; the role's own maximum is not modelled.
fn lifetime(form: &Form) -> Result<Duration, Refusal> {
    let Some(text) = form.get("DurationSeconds") else {
        return Ok(Duration::from_secs(DEFAULT_DURATION_SECONDS));
    };
    match text.parse() {
        Ok(seconds @ 900..=43_200) => Ok(Duration::from_secs(seconds)),
        _ => Err(Refusal::bad_request(
            "ValidationError",
            format!(
                "1 validation error detected: Value '{text}' at 'durationSeconds' failed to satisfy constraint"
            ),
        )),
    }
}

fn trusts(role: &Role, caller: &Caller, external_id: Option<&String>) -> bool {
    role.trusted_accounts.contains(&caller.account)
        && role.external_id.as_ref().is_none_or(|wanted| Some(wanted) == external_id)
}

/// AWS says the same about a role that does not exist, does not trust, or wants another external id.
fn not_trusted(caller: &Caller, role_arn: &str) -> Refusal {
    let message = format!(
        "User: {} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
        caller.arn()
    );
    access_denied(Service::Sts, message)
}

fn credentials_xml(credentials: &Credentials) -> String {
    format!(
        "<Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
         <SessionToken>{}</SessionToken><Expiration>{}</Expiration></Credentials>",
        credentials.access_key,
        credentials.secret_key,
        credentials.token,
        whole_seconds(credentials.expires)
    )
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    time.round(Unit::Second).unwrap_or(time)
}
