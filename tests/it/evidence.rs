//! What a backup has left behind, and what it was made from: the evidence that tests compare.

use std::io::Read;

use loopback_aws::SOURCE_ACCOUNT;
use loopback_aws::sample::{self, SampleTable};
use serde_json::{Value, json};

use crate::harness::{World, create};

impl World {
    /// Runs a backup to its end, which is to have this exit code, and gives what it printed.
    pub(crate) async fn backup(&self, arguments: &[&str], code: i32) -> Value {
        let arguments = [&["run", "--output", "json"], arguments].concat();
        self.run(&arguments).await.expect_code(code).json()
    }

    /// Asserts that the copy of every source table equals it.
    pub(crate) async fn assert_copied(&self) {
        for table in self.tables(SOURCE_ACCOUNT) {
            assert_eq!(self.differences(&table).await, [""; 0], "table {table}");
        }
    }

    /// The names of an account's tables.
    pub(crate) fn tables(&self, account: &str) -> Vec<String> {
        let pages = self.pages(
            account,
            "ListTables",
            json!({}),
            ["LastEvaluatedTableName", "ExclusiveStartTableName"],
        );
        let names = pages.iter().flat_map(|page| page["TableNames"].as_array().expect("a list"));
        names.map(|name| name.as_str().expect("a name").to_owned()).collect()
    }

    /// The items of a source table as DynamoDB JSON, in the order of a scan.
    pub(crate) fn source_items(&self, table: &str) -> Vec<Value> {
        let request = json!({ "TableName": table });
        let pages = self.pages(SOURCE_ACCOUNT, "Scan", request, ["LastEvaluatedKey", "ExclusiveStartKey"]);
        pages
            .into_iter()
            .flat_map(|mut page| serde_json::from_value::<Vec<Value>>(page["Items"].take()))
            .flatten()
            .collect()
    }

    /// Every page of an action, whose answer names where the next request has to go on.
    fn pages(&self, account: &str, action: &str, mut request: Value, [last, start]: [&str; 2]) -> Vec<Value> {
        let mut pages = vec![self.dynamodb(account, action, &request)];
        while let Some(place) = pages.last().and_then(|page| page.get(last)).cloned() {
            request[start] = place;
            pages.push(self.dynamodb(account, action, &request));
        }
        pages
    }

    /// The keys of the bucket that hold this text.
    pub(crate) fn keys_with(&self, text: &str) -> Vec<String> {
        self.bucket().keys().into_iter().filter(|key| key.contains(text)).collect()
    }

    /// The items in the parts of a table, run by run, as they lie in the bucket.
    pub(crate) fn exported_items(&self, table: &str) -> Vec<Value> {
        let parts =
            self.keys_with("/data/").into_iter().filter(|key| key.contains(&format!("/tables/{table}/")));
        let texts = parts.map(|key| part_text(&key, &self.bucket().get(&key).expect("it was listed")));
        let lines: Vec<String> =
            texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        let item =
            |line: &String| serde_json::from_str::<Value>(line).expect("a line is JSON")["Item"].take();
        lines.iter().map(item).collect()
    }

    /// How many calls of an action have been made, whoever made them.
    pub(crate) fn count_calls(&self, action: &str) -> usize {
        self.aws.calls().iter().filter(|call| call.action == action).count()
    }
}

/// The lines of a part.
pub(crate) fn part_text(key: &str, body: &[u8]) -> String {
    let mut bytes = Vec::new();
    let read = match key.rsplit('.').next() {
        Some("zst") => zstd::Decoder::new(body).and_then(|mut lines| lines.read_to_end(&mut bytes)),
        Some("gz") => flate2::read::GzDecoder::new(body).read_to_end(&mut bytes),
        _ => panic!("{key} is not a part"),
    };
    read.unwrap_or_else(|error| panic!("{key} cannot be read: {error}"));
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

/// These tables of the sample shop.
pub(crate) fn of_shop(names: &[&str]) -> Vec<SampleTable> {
    sample::shop().into_iter().filter(|table| names.contains(&table.name())).collect()
}

/// A table whose items of 100 KB come ten to a page of a scan.
pub(crate) fn bulky(name: &str, items: usize) -> SampleTable {
    let bulk = "b".repeat(100_000);
    let item = move |index| json!({ "pk": { "S": format!("item-{index:04}") }, "bulk": { "S": bulk } });
    SampleTable { create: create(name, "pk", "S"), items: Box::new((0..items).map(item)) }
}

/// What a report, as `run` prints it, says of one table.
pub(crate) fn result_of<'a>(report: &'a Value, table: &str) -> &'a Value {
    let runs = report["runs"].as_array().expect("a list of runs");
    let mut tables = runs.iter().flat_map(|run| run["tables"].as_array().expect("a list of tables"));
    tables.find(|result| result["table"] == table).unwrap_or_else(|| panic!("no table {table} in {report}"))
}

/// Items as text that is the same for two lists if and only if they hold the same items.
pub(crate) fn sorted(items: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = items.iter().map(Value::to_string).collect();
    texts.sort_unstable();
    texts
}
