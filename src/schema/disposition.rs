//! What becomes of each setting of a table in its live copy and in a restored table, and why.
//!
//! Every setting is captured, as DynamoDB tells it; this table says what is done with it then.

use std::fmt;

use serde::Serialize;

/// What becomes of one setting.
#[derive(Debug, Serialize)]
pub struct Disposition {
    /// The member of DescribeTable's `Table`, or of `settings` in `table.json`; behind a dot, that of each of its
    /// elements.
    pub setting: &'static str,
    /// In the live copy.
    pub copy: Fate,
    /// In a table that is restored.
    pub restored: Fate,
    pub reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// As in the source.
    Carried,
    /// Set to something else, which the reason names.
    Remapped,
    /// As in the source, once every item is there.
    Late,
    /// Not set.
    Withheld,
    /// In the archive only.
    Recorded,
    /// No setting: something DynamoDB tells of a table.
    Fact,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Carried => "carried",
            Self::Remapped => "remapped",
            Self::Late => "carried last",
            Self::Withheld => "withheld",
            Self::Recorded => "recorded only",
            Self::Fact => "a fact",
        })
    }
}

const IDENTITY: &str = "items would not be the same ones, or not be found";
const GLOBAL: &str = "a copy lives in one region";
const COUNTER: &str = "counted by DynamoDB";
const STATE: &str = "changes by itself";
const NAME: &str = "given by DynamoDB";

/// All of them, DescribeTable's in its order (DynamoDB API Reference, “TableDescription”).
#[rustfmt::skip] // a table
pub static DISPOSITIONS: &[Disposition] = {
    use Fate::{Carried, Fact, Late, Recorded, Remapped, Withheld};
    &[
        of("AttributeDefinitions", Carried, Carried, IDENTITY),
        of("TableName", Remapped, Remapped, "target-prefix and --to change it"),
        of("KeySchema", Carried, Carried, IDENTITY),
        of("TableStatus", Fact, Fact, STATE),
        of("CreationDateTime", Fact, Fact, STATE),
        of("ProvisionedThroughput", Remapped, Carried, "a copy is on demand, unless copy-billing-mode is source"),
        of("TableSizeBytes", Fact, Fact, COUNTER),
        of("ItemCount", Fact, Fact, COUNTER),
        of("TableArn", Fact, Fact, NAME),
        of("TableId", Fact, Fact, NAME),
        of("BillingModeSummary", Remapped, Carried, "a copy is on demand, unless copy-billing-mode is source"),
        of("LocalSecondaryIndexes", Carried, Carried, "only a new table can be given one"),
        of("GlobalSecondaryIndexes", Carried, Carried, "one that is missing in a copy is added"),
        of("GlobalSecondaryIndexes.ProvisionedThroughput", Remapped, Carried, "as that of the table"),
        of("GlobalSecondaryIndexes.OnDemandThroughput", Carried, Carried, "a limit on what it may cost"),
        of("GlobalSecondaryIndexes.WarmThroughput", Recorded, Recorded, "it is paid for when it is set"),
        of("VectorIndexes", Carried, Carried, "as DynamoDB tells them"),
        of("StreamSpecification", Withheld, Late, "every put would be a record of the stream"),
        of("LatestStreamLabel", Fact, Fact, NAME),
        of("LatestStreamArn", Fact, Fact, NAME),
        of("GlobalTableVersion", Recorded, Recorded, GLOBAL),
        of("Replicas", Recorded, Recorded, GLOBAL),
        of("GlobalTableWitnesses", Recorded, Recorded, GLOBAL),
        of("GlobalTableSettingsReplicationMode", Recorded, Recorded, GLOBAL),
        of("RestoreSummary", Fact, Fact, STATE),
        of("SSEDescription", Remapped, Withheld, "a key of the source account is not for other accounts; copy-kms-key names one"),
        of("ArchivalSummary", Fact, Fact, STATE),
        of("TableClassSummary", Carried, Carried, "it sets what storage costs"),
        of("DeletionProtectionEnabled", Remapped, Late, "a copy is always protected"),
        of("DisassociationProtectionEnabled", Recorded, Recorded, GLOBAL),
        of("OnDemandThroughput", Carried, Carried, "a limit on what the table may cost"),
        of("WarmThroughput", Remapped, Recorded, "it is paid for when it is set; copy-warm-write-units sets it"),
        of("MultiRegionConsistency", Recorded, Recorded, GLOBAL),
        of("TimeToLive", Withheld, Late, "it would delete from the copy what the archive has"),
        of("ContinuousBackups", Remapped, Late, "copy-recovery-days sets it"),
        of("Tags", Carried, Carried, "but for those of AWS and of this program"),
        of("ResourcePolicy", Withheld, Withheld, "it names principals and ARNs of the source"),
        of("ContributorInsights", Withheld, Late, "it is paid for by the event"),
        of("KinesisDestinations", Withheld, Late, "every put would be a record; stream and table are of one account and region"),
        of("AutoScaling", Recorded, Recorded, "its roles and alarms are of the source account"),
    ]
};

const fn of(setting: &'static str, copy: Fate, restored: Fate, reason: &'static str) -> Disposition {
    Disposition { setting, copy, restored, reason }
}

impl Disposition {
    /// The member of the definition or the settings that it is about, and that of the elements, if any.
    pub fn path(&self) -> (&'static str, Option<&'static str>) {
        match self.setting.split_once('.') {
            Some((list, member)) => (list, Some(member)),
            None => (self.setting, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Debug;

    use aws_sdk_dynamodb::types::{GlobalSecondaryIndexDescription, TableDescription};
    use serde_json::json;

    use super::*;
    use crate::schema::settings::TableSettings;

    /// Of an index, what makes it the index that it is, and what DynamoDB tells of it.
    const OF_AN_INDEX: [&str; 8] = [
        "IndexName",
        "KeySchema",
        "Projection",
        "IndexStatus",
        "Backfilling",
        "IndexSizeBytes",
        "ItemCount",
        "IndexArn",
    ];

    /// The members of a type of the SDK, as DynamoDB spells them.
    fn members(of: &impl Debug) -> BTreeSet<String> {
        let text = format!("{of:#?}");
        let lines = text.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     "));
        let names = lines.filter_map(|line| line.trim().split_once(": ")).map(|(name, _)| name);
        names.map(spelled).collect()
    }

    fn spelled(name: &str) -> String {
        let word = |word: &str| match word {
            "sse" => "SSE".to_owned(),
            word => word[..1].to_uppercase() + &word[1..],
        };
        name.split('_').map(word).collect()
    }

    fn settings() -> BTreeSet<String> {
        DISPOSITIONS.iter().map(|one| one.setting.to_owned()).collect()
    }

    #[test]
    fn every_member_that_the_sdk_knows_of_a_table_has_a_disposition() {
        let members = members(&TableDescription::builder().build());
        assert!(members.len() >= 30 && members.contains("SSEDescription"), "{members:?}");
        let missing: Vec<_> = members.difference(&settings()).cloned().collect();
        assert_eq!(missing, Vec::<String>::new(), "DynamoDB tells these, and nothing is said of them");
    }

    #[test]
    fn every_member_that_the_sdk_knows_of_a_global_index_has_a_disposition() {
        let members = members(&GlobalSecondaryIndexDescription::builder().build());
        let throughput = members.iter().filter(|member| !OF_AN_INDEX.contains(&member.as_str()));
        let missing: Vec<_> = throughput
            .filter(|member| !settings().contains(&format!("GlobalSecondaryIndexes.{member}")))
            .collect();
        assert_eq!(missing, Vec::<&String>::new());
        assert!(members.len() > OF_AN_INDEX.len());
    }

    #[test]
    fn every_setting_that_is_captured_by_a_call_of_its_own_has_a_disposition() {
        let all = json!({
            "TimeToLive": {}, "ContinuousBackups": {}, "Tags": [], "ResourcePolicy": {}, "ContributorInsights": {},
            "KinesisDestinations": [], "AutoScaling": {}, "not_readable": [],
        });
        let read: TableSettings = serde_json::from_str(&all.to_string()).unwrap();
        let written = serde_json::to_value(&read).unwrap();
        let captured = written.as_object().unwrap().keys().filter(|name| *name != "not_readable");
        let missing: Vec<_> = captured.filter(|name| !settings().contains(*name)).collect();
        assert_eq!(missing, Vec::<&String>::new());
        // A new member of the settings is to be added to the list above.
        assert_eq!(format!("{:?}", TableSettings::default()).matches(": None").count(), 7);
    }

    #[test]
    fn no_setting_is_listed_twice_and_each_has_a_reason() {
        assert_eq!(settings().len(), DISPOSITIONS.len());
        assert!(DISPOSITIONS.iter().all(|one| !one.reason.is_empty()));
    }
}
