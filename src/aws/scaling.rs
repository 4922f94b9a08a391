//! Application Auto Scaling: what moves the throughput of an account's tables.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_applicationautoscaling::Client;
use aws_sdk_applicationautoscaling::types::ServiceNamespace;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Session;
use super::access::{Access, access};
use super::failure::{code, failure};
use crate::error::{Error, Result};
use crate::schema::settings::{AutoScaling, NotReadable};
use crate::table::TableName;

/// Application Auto Scaling of the tables of one account and region.
#[derive(Clone, Debug)]
pub struct Scaling(Client);

/// What was found: of each table that has any, or why it is not known.
#[derive(Debug)]
pub enum Scalings {
    Known(HashMap<TableName, AutoScaling>),
    NotReadable(NotReadable),
}

const ASK: &str = "ask Application Auto Scaling";

type ListOf = fn(&mut AutoScaling) -> &mut Vec<Box<RawValue>>;

/// Sends one request for each page, and gives the elements of all, each as it came. (Application Auto Scaling API
/// Reference; without resource ids, all of the namespace are told.)
macro_rules! pages {
    ($client:expr, $method:ident, $member:literal) => {{
        let (mut elements, mut token) = (Vec::new(), None);
        loop {
            let body = Body::default();
            let request = $client.$method().service_namespace(ServiceNamespace::Dynamodb);
            let request = request.set_next_token(token).customize().interceptor(body.clone());
            let page = request.send().await.map_err(|error| {
                let permission =
                    (code(&error) == Some("AccessDeniedException")).then_some(stringify!($method));
                (permission, failure(&error, ASK))
            })?;
            elements.extend(body.elements($member).map_err(|error| (None, error))?);
            token = page.next_token;
            if token.is_none() {
                break elements;
            }
        }
    }};
}

/// Asks for one element of what a method tells: the permission for it, and whether it is there.
macro_rules! may {
    ($client:expr, $method:ident) => {
        async {
            let request = $client.$method().service_namespace(ServiceNamespace::Dynamodb).max_results(1);
            (permission(stringify!($method)), access(request.send().await, &[], ASK))
        }
    };
}

impl Scalings {
    /// Of one table; none where it has none.
    pub fn of(&self, table: &TableName) -> Result<Option<AutoScaling>, NotReadable> {
        match self {
            Self::Known(tables) => Ok(tables.get(table).cloned()),
            Self::NotReadable(reason) => Err(reason.clone()),
        }
    }
}

impl Scaling {
    pub fn new(session: &Session) -> Self {
        let config = aws_sdk_applicationautoscaling::config::Builder::from(&session.sdk);
        let mut config = config.interceptor(session.retries.clone());
        if let Some(role) = &session.role {
            config = config.interceptor(role.clone()).retry_classifier(role.clone());
        }
        Self(Client::from_conf(config.build()))
    }

    /// The auto scaling of every table. That it cannot be had is no reason not to back up the tables.
    pub async fn of_all_tables(&self) -> Scalings {
        match self.read().await {
            Ok(found) => Scalings::Known(found),
            Err((denied, error)) => Scalings::NotReadable(NotReadable {
                setting: "AutoScaling".to_owned(),
                permission: denied.map(permission),
                reason: format!("{error:#}"),
            }),
        }
    }

    /// Each permission that [`Scaling::of_all_tables`] needs, and whether it is there.
    pub async fn may_read(&self) -> [(String, Result<Access>); 3] {
        let targets = may!(self.0, describe_scalable_targets);
        let policies = may!(self.0, describe_scaling_policies);
        let actions = may!(self.0, describe_scheduled_actions);
        futures::join!(targets, policies, actions).into()
    }

    /// The error comes with the method that was denied, if one was.
    async fn read(&self) -> Result<HashMap<TableName, AutoScaling>, (Option<&'static str>, Error)> {
        let mut tables: HashMap<TableName, AutoScaling> = HashMap::new();
        let targets = pages!(self.0, describe_scalable_targets, "ScalableTargets");
        let policies = pages!(self.0, describe_scaling_policies, "ScalingPolicies");
        let actions = pages!(self.0, describe_scheduled_actions, "ScheduledActions");
        let mut sort = |elements: Vec<Box<RawValue>>, list: ListOf| {
            for element in elements {
                if let Some(table) = table_of(&element) {
                    list(tables.entry(table).or_default()).push(element);
                }
            }
        };
        sort(targets, |scaling| &mut scaling.scalable_targets);
        sort(policies, |scaling| &mut scaling.scaling_policies);
        sort(actions, |scaling| &mut scaling.scheduled_actions);
        Ok(tables)
    }
}

/// Such as `application-autoscaling:DescribeScalableTargets` (Service Authorization Reference, “Actions,
/// resources, and condition keys for AWS Application Auto Scaling”).
fn permission(method: &str) -> String {
    let words = method.split('_').map(|word| word[..1].to_uppercase() + &word[1..]);
    format!("application-autoscaling:{}", words.collect::<String>())
}

/// The table of an element: its `ResourceId` is `table/<name>`, with `/index/<name>` behind it for an index
/// (Application Auto Scaling API Reference, “ScalableTarget”).
fn table_of(element: &RawValue) -> Option<TableName> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Element {
        resource_id: String,
    }
    let Element { resource_id } = serde_json::from_str(element.get()).ok()?;
    let mut path = resource_id.split('/');
    let name = path.next().filter(|kind| *kind == "table").and_then(|_| path.next())?;
    TableName::parse(name).ok()
}

/// Keeps the body of an answer, which the SDK would only give as its own types.
#[derive(Clone, Debug, Default)]
struct Body(Arc<Mutex<Bytes>>);

impl Body {
    /// The elements of a list in the answer.
    fn elements(&self, member: &str) -> Result<Vec<Box<RawValue>>> {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let read = serde_json::from_slice::<HashMap<String, Box<RawValue>>>(&body).and_then(|mut members| {
            members.remove(member).map_or(Ok(Vec::new()), |list| serde_json::from_str(list.get()))
        });
        read.map_err(|error| {
            Error::permanent("read the answer of Application Auto Scaling").with_source(error)
        })
    }
}

#[dyn_dispatch_hint]
impl Intercept for Body {
    fn name(&self) -> &'static str {
        "Body"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Bytes::copy_from_slice(body);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_belongs_to_the_table_of_its_resource_id_also_where_it_is_about_an_index() {
        let table = |id: &str| {
            let element = serde_json::json!({ "ResourceId": id }).to_string();
            table_of(&RawValue::from_string(element).unwrap()).map(|table| table.to_string())
        };
        assert_eq!(table("table/orders").as_deref(), Some("orders"));
        assert_eq!(table("table/orders/index/by_owner").as_deref(), Some("orders"));
        assert_eq!((table("service/cluster/orders"), table("table")), (None, None));
    }

    #[test]
    fn a_permission_is_spelled_as_iam_does() {
        assert_eq!(
            permission("describe_scalable_targets"),
            "application-autoscaling:DescribeScalableTargets"
        );
    }
}
