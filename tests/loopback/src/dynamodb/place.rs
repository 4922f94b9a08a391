//! The DynamoDB of one account in one region.

use dynoxide::Database;
use dynoxide::streams::{LOCAL_ACCOUNT, LOCAL_REGION};

use super::extras::Extras;
use super::overrides::Overrides;
use super::{Answer, Failure, engine, pages, resource, segments, unprocessed};
use crate::fault::Twist;

pub(super) struct Place {
    pub(super) overrides: Overrides,
    extras: Extras,
    database: Database,
    /// How ARNs say where they are: `:<region>:<account>:`.
    own_place: String,
    /// The same in dynoxide's ARNs.
    dynoxides_place: String,
}

impl Place {
    pub(super) fn new(account: &str, region: &str) -> Self {
        Self {
            overrides: Overrides::default(),
            extras: Extras::default(),
            database: Database::memory().expect("SQLite opens a database in memory"),
            own_place: format!(":{region}:{account}:"),
            dynoxides_place: format!(":{LOCAL_REGION}:{LOCAL_ACCOUNT}:"),
        }
    }

    /// Carries out one call; blocks while SQLite works.
    pub(super) fn perform(&self, action: &str, body: &[u8], twist: &Twist) -> Answer {
        if let Some(answer) = self.extras.answer(action, body, &self.database) {
            return answer;
        }
        let write = |body: &[u8]| engine::dispatch(&self.database, action, body);
        match (action, twist) {
            ("BatchWriteItem", Twist::HoldBackLast(count)) => unprocessed::hold_back(body, *count, write),
            ("BatchWriteItem", Twist::HoldBackWith(text)) => unprocessed::hold_back_with(body, text, write),
            ("Scan", Twist::EmptyPage) => pages::empty(body, |body| self.perform(action, body, &Twist::None)),
            ("Scan", Twist::ShortPage(items)) => {
                self.perform(action, &pages::limited(body, *items), &Twist::None)
            }
            ("Scan", _) if self.overrides.has_scattered_segments(&resource(body)) => {
                engine::dispatch(&self.database, action, &segments::scatter(body))
            }
            _ if carries_items(action) => engine::dispatch(&self.database, action, body),
            _ => self.administer(action, body),
        }
    }

    /// Calls about tables: dynoxide sees its own ARNs and the caller sees AWS's. Items never come through here,
    /// so nothing in them is mistaken for an ARN.
    fn administer(&self, action: &str, body: &[u8]) -> Answer {
        let table = resource(body);
        let body = String::from_utf8_lossy(body).replace(&self.own_place, &self.dynoxides_place);
        let translate = |document: String| document.replace(&self.dynoxides_place, &self.own_place);
        let document = engine::dispatch(&self.database, action, body.as_bytes())
            .map(translate)
            .map_err(|failure| Failure { document: translate(failure.document), ..failure })?;
        match action {
            "DescribeTable" => Ok(self.overrides.apply(&table, document)),
            "DeleteTable" => {
                self.extras.forget(&table);
                Ok(document)
            }
            _ => Ok(document),
        }
    }
}

fn carries_items(action: &str) -> bool {
    action.ends_with("Item") || action.ends_with("Items") || matches!(action, "Scan" | "Query")
}
