//! What must hold after every step.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

use jiff::Timestamp;
use loopback_aws::{BACKUP_ACCOUNT, BUCKET, BucketView, Loopback, REGION, SOURCE_ACCOUNT};
use serde_json::{Value, json};

use super::chronicle::{Chronicle, Window, key};

/// The account of a table that holds every key there may be, so that a scan tells in which order keys come.
pub(crate) const SHADOW_ACCOUNT: &str = "333333333333";

/// That table.
pub(crate) const SHADOW: &str = "shadow";

/// All that may be done in a source.
const READS: [&str; 9] = [
    "ListTables",
    "DescribeTable",
    "Scan",
    "DescribeTimeToLive",
    "DescribeContinuousBackups",
    "ListTagsOfResource",
    "GetResourcePolicy",
    "DescribeContributorInsights",
    "DescribeKinesisStreamingDestination",
];

/// The items of a table, by key.
pub(crate) type Items = BTreeMap<String, Value>;

/// What is known of a table besides what AWS tells.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) chronicle: Chronicle,
    /// When somebody else last changed its copy.
    pub(crate) copy_changed: Option<Timestamp>,
    /// What a table that is nobody's copy must hold, for nobody may write it.
    pub(crate) not_ours: Option<Items>,
}

/// Looks at everything that is there, again and again.
pub(crate) struct Rules {
    aws: Loopback,
    /// Segment and place of each key, by the number of segments.
    ranks: HashMap<u32, HashMap<String, (u32, usize)>>,
    /// What was there at the last look; nothing of it may be gone.
    keys: BTreeSet<String>,
    calls: usize,
}

/// One segment's parts, by number.
type Parts = BTreeMap<u32, Vec<Value>>;

impl Rules {
    /// `all` are the items that tables may have, of which only the keys matter.
    pub(crate) fn new(aws: &Loopback, all: &[Value]) -> Self {
        for item in all {
            let put = json!({ "TableName": SHADOW, "Item": item });
            aws.dynamodb(SHADOW_ACCOUNT, REGION, "PutItem", &put).expect("a legal item");
        }
        Self { aws: aws.clone(), ranks: HashMap::new(), keys: BTreeSet::new(), calls: 0 }
    }

    /// Every rule that is broken, in words.
    pub(crate) fn broken(&mut self, tables: &BTreeMap<String, Known>) -> Vec<String> {
        let mut broken = Vec::new();
        let bucket = self.aws.bucket(BUCKET);
        broken.extend(bucket.overwritten().into_iter().map(|key| format!("{key} was put twice, or deleted")));
        let keys: BTreeSet<String> = bucket.keys().into_iter().collect();
        broken.extend(self.keys.difference(&keys).map(|key| format!("{key} is gone")));
        broken.extend(self.forbidden_calls());
        for (name, known) in tables {
            if let Some(items) = &known.not_ours
                && *items != items_of(&self.aws, BACKUP_ACCOUNT, name)
            {
                broken.push(format!("table {name} is not ours and was written"));
            }
            for run in runs(&keys) {
                self.look_at_table(&bucket, &keys, &run, (name, known), &mut broken);
            }
        }
        self.keys = keys;
        broken
    }

    /// What was done in a source account besides reading.
    fn forbidden_calls(&mut self) -> Vec<String> {
        let calls = self.aws.calls();
        let of_source = calls[self.calls..].iter().filter(|call| call.account == SOURCE_ACCOUNT);
        let forbidden = of_source
            .filter(|call| call.service == "dynamodb" && !READS.contains(&call.action.as_str()))
            .map(|call| format!("{} of {} in the source account", call.action, call.resource));
        let forbidden = forbidden.collect();
        self.calls = calls.len();
        forbidden
    }

    fn look_at_table(
        &mut self,
        bucket: &BucketView,
        keys: &BTreeSet<String>,
        run: &str,
        (name, known): (&str, &Known),
        broken: &mut Vec<String>,
    ) {
        let folder = format!("runs/{run}/tables/{name}/");
        let Some(table) = object(bucket, &format!("{folder}table.json")) else { return };
        let segments = table["plan"]["segments"].as_u64().and_then(|count| u32::try_from(count).ok());
        let segments = segments.expect("a plan has segments");
        let here = format!("table {name} of run {run}");
        let (parts, strange) = parts(bucket, keys, &folder);
        broken.extend(strange.into_iter().map(|key| format!("{key} is no part and lies among them")));
        let mut archived = Items::new();
        let mut exported = 0;
        for (segment, parts) in &parts {
            let here = format!("{here}, segment {segment}");
            broken.extend(self.breaks_of_the_part_rule(segments, *segment, parts, &here));
        }
        for segment in 0..segments {
            let Some(marker) = object(bucket, &format!("{folder}state/export/{segment:05}.json")) else {
                continue;
            };
            exported += 1;
            let here = format!("{here}, segment {segment}");
            let listed = listed(&marker, parts.get(&segment), &here, broken);
            let window = window(&marker);
            for key in known.chronicle.there_all_along(window) {
                if self.rank(segments, key).0 == segment && !listed.contains_key(key) {
                    broken.push(format!("{here} lacks {key}, which was there for the whole scan"));
                }
            }
            let phantoms = listed.values().filter(|item| !known.chronicle.may_have_been(item, window));
            broken.extend(phantoms.map(|item| format!("{here} has {item}, which was not there")));
            archived.extend(listed);
        }
        self.look_at_result(bucket, keys, run, (name, known), (&archived, exported == segments), broken);
    }

    /// A copy that is said to equal the archive does, when it is said.
    fn look_at_result(
        &self,
        bucket: &BucketView,
        keys: &BTreeSet<String>,
        run: &str,
        (name, known): (&str, &Known),
        (archived, is_whole): (&Items, bool),
        broken: &mut Vec<String>,
    ) {
        let result_key = format!("runs/{run}/results/{name}.json");
        let is_new = keys.contains(&result_key) && !self.keys.contains(&result_key);
        let Some(result) = is_new.then(|| object(bucket, &result_key)).flatten() else { return };
        if result["outcome"] != "complete" {
            if result["reasons"].as_array().is_none_or(Vec::is_empty) {
                broken.push(format!("{result_key} gives no reason: {result}"));
            }
            return;
        }
        let summaries = format!("runs/{run}/tables/{name}/AWSDynamoDB/");
        let is_summary =
            |key: &&String| key.starts_with(&summaries) && key.ends_with("manifest-summary.json");
        let summary = keys.iter().find(is_summary).and_then(|key| object(bucket, key));
        let count = summary.as_ref().and_then(|summary| summary["itemCount"].as_u64());
        if !is_whole || count != Some(archived.len() as u64) {
            broken.push(format!("{result_key} is complete, and the archive is not: {summary:?}"));
        }
        let began = object(bucket, &format!("runs/{run}/run.json")).and_then(|run| time(&run["planned_at"]));
        let is_touched = known.copy_changed.is_some_and(|changed| began.is_none_or(|began| changed >= began));
        let copy = items_of(&self.aws, BACKUP_ACCOUNT, name);
        if !is_touched && copy != *archived {
            let differing =
                copy.keys().chain(archived.keys()).filter(|key| copy.get(*key) != archived.get(*key));
            let differing: BTreeSet<_> = differing.collect();
            broken.push(format!("{result_key} is complete, and copy and archive differ in {differing:?}"));
        }
    }

    /// Part n begins behind the last item of part n - 1.
    fn breaks_of_the_part_rule(
        &mut self,
        segments: u32,
        segment: u32,
        parts: &Parts,
        here: &str,
    ) -> Vec<String> {
        let mut broken = Vec::new();
        let is_gapless = parts.keys().copied().eq(0..u32::try_from(parts.len()).expect("few parts"));
        if !is_gapless {
            broken.push(format!("{here} has the parts {:?}", parts.keys()));
        }
        if parts.values().any(Vec::is_empty) {
            broken.push(format!("{here} has a part without items"));
        }
        let mut last = None;
        for item in parts.values().flatten() {
            let rank = self.rank(segments, &key(item));
            if rank.0 != segment || last.is_some_and(|last| rank.1 <= last) {
                broken.push(format!("{here} has {} at the wrong place", key(item)));
            }
            last = Some(rank.1);
        }
        broken
    }

    /// The segment of a key, and its place there.
    fn rank(&mut self, segments: u32, key: &str) -> (u32, usize) {
        let aws = &self.aws;
        let ranks = self.ranks.entry(segments).or_insert_with(|| ranks(aws, segments));
        *ranks.get(key).unwrap_or_else(|| panic!("key {key} is not one of ours"))
    }
}

fn ranks(aws: &Loopback, segments: u32) -> HashMap<String, (u32, usize)> {
    let of_segment = |segment: u32| {
        let scan = json!({ "TableName": SHADOW, "Segment": segment, "TotalSegments": segments });
        let page = aws.dynamodb(SHADOW_ACCOUNT, REGION, "Scan", &scan).expect("it is there");
        let items = page["Items"].as_array().cloned().unwrap_or_default();
        items.into_iter().enumerate().map(move |(place, item)| (key(&item), (segment, place)))
    };
    (0..segments).flat_map(of_segment).collect()
}

/// The items of a table in an account; none where there is no table.
pub(crate) fn items_of(aws: &Loopback, account: &str, table: &str) -> Items {
    let page = aws.dynamodb(account, REGION, "Scan", &json!({ "TableName": table, "ConsistentRead": true }));
    let items = page.ok().and_then(|mut page| page["Items"].as_array_mut().map(std::mem::take));
    items.unwrap_or_default().into_iter().map(|item| (key(&item), item)).collect()
}

/// The runs that have a folder.
pub(crate) fn runs(keys: &BTreeSet<String>) -> BTreeSet<String> {
    let folders = keys.iter().filter_map(|key| key.strip_prefix("runs/")?.split_once('/'));
    folders.map(|(run, _)| run.to_owned()).collect()
}

pub(crate) fn object(bucket: &BucketView, key: &str) -> Option<Value> {
    serde_json::from_slice(&bucket.get(key)?).ok()
}

/// The parts of a table's segments, and what else lies among them.
fn parts(bucket: &BucketView, keys: &BTreeSet<String>, folder: &str) -> (BTreeMap<u32, Parts>, Vec<String>) {
    let (mut parts, mut strange) = (BTreeMap::<u32, Parts>::new(), Vec::new());
    for key in keys.iter().filter(|key| key.starts_with(folder)) {
        let Some((_, name)) = key.split_once("/data/") else { continue };
        let number = |text: &str| text.parse::<u32>().ok();
        let numbers = name.strip_suffix(".json.zst").and_then(|name| name.split_once('-'));
        match numbers.and_then(|(segment, part)| Some((number(segment)?, number(part)?))) {
            Some((segment, part)) => {
                let body = bucket.get(key).expect("it was just listed");
                parts.entry(segment).or_default().insert(part, lines(&body));
            }
            None => strange.push(key.clone()),
        }
    }
    (parts, strange)
}

fn lines(body: &[u8]) -> Vec<Value> {
    let mut text = String::new();
    zstd::Decoder::new(body).and_then(|mut part| part.read_to_string(&mut text)).expect("a part is zstd");
    let item = |line: &str| serde_json::from_str::<Value>(line).expect("a line is JSON")["Item"].take();
    text.lines().map(item).collect()
}

/// The items of those parts that a marker lists, each of which must be as it says.
fn listed(marker: &Value, parts: Option<&Parts>, here: &str, broken: &mut Vec<String>) -> Items {
    let mut items = Items::new();
    for (number, entry) in marker["parts"].as_array().into_iter().flatten().enumerate() {
        let part = u32::try_from(number).ok().and_then(|number| parts?.get(&number));
        let found = part.map(|items| items.len() as u64);
        if entry["part"].as_u64() != Some(number as u64) || entry["items"].as_u64() != found {
            broken.push(format!("{here}: the marker says {entry}, and there are {found:?} items"));
        }
        items.extend(part.into_iter().flatten().map(|item| (key(item), item.clone())));
    }
    items
}

fn window(marker: &Value) -> Window {
    let at = |name: &str| time(&marker["scan"][name]).expect("a marker tells its window");
    Window { from: at("started_at"), to: at("finished_at") }
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}
