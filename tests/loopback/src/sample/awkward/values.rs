//! Attribute values: every type, empty ones, deeply nested ones, numbers and text.

use serde_json::{Value, json};

use super::{keys, numbers, text};
use crate::sample::SampleTable;
use crate::sample::attribute::{b, boolean, bs, l, m, n, nothing, ns, s, ss};
use crate::sample::schema::Create;

/// DynamoDB nests values 32 levels deep, and the top-level attribute is the first of them.
const NESTING_LEVELS: usize = 32;

pub(super) fn tables() -> Vec<SampleTable> {
    vec![every_type(), nested(), empty_values(), number_values(), text_values(), look_alikes()]
}

fn table(name: &str, items: impl IntoIterator<Item = Value>) -> SampleTable {
    SampleTable::listed(Create::table(name, ("pk", "S")), items.into_iter().collect())
}

/// One value of each of the ten types, by the name of the type.
fn each_type() -> [(&'static str, Value); 10] {
    [
        ("S", s("text")),
        ("N", n("-12.5")),
        ("B", b([0, 1, 254, 255])),
        ("BOOL", boolean(false)),
        ("NULL", nothing()),
        ("M", m(json!({ "inner": s("text"), "M": m(json!({ "S": s("S") })) }))),
        ("L", l([n(1), s("1"), b("1"), nothing(), l([n(2)])])),
        ("SS", ss(["b", "a", "B", "á"])),
        ("NS", ns(["10", "9", "-1.5", "1E-130"])),
        ("BS", bs([&b"1"[..], &[0xFF, 0x00], &[0x00]])),
    ]
}

/// Each type alone, then all in one item, then sets and maps with many members.
fn every_type() -> SampleTable {
    let alone = each_type().map(|(kind, value)| json!({ "pk": s(kind), kind: value }));
    let mut together: Value = each_type().into_iter().map(|(kind, value)| (kind.to_owned(), value)).collect();
    together["pk"] = s("together");
    let wide = json!({
        "pk": s("wide"),
        "strings": ss((0..500).map(|member| format!("member-{member}"))),
        "numbers": ns(-250..250),
        "binaries": bs((0..500_u32).map(u32::to_be_bytes)),
        "map": m((0..1_000).map(|entry| (format!("entry-{entry}"), n(entry))).collect()),
        "list": l((0..1_000).map(n)),
        "one_string": ss(["alone"]),
        "yes": boolean(true),
    });
    table("every-type", alone.into_iter().chain([together, wide]))
}

/// Each type at the deepest level there is, inside maps, inside lists, and inside both in turn.
fn nested() -> SampleTable {
    let items = each_type().map(|(kind, leaf)| {
        let wraps = NESTING_LEVELS - levels(&leaf);
        json!({
            "pk": s(kind),
            "maps": (0..wraps).fold(leaf.clone(), |value, _| m(json!({ "n": value }))),
            "lists": (0..wraps).fold(leaf.clone(), |value, _| l([value])),
            "both": (0..wraps).fold(leaf.clone(), |value, level| match level % 2 {
                0 => l([s("before"), value, s("after")]),
                _ => m(json!({ "n": value, "level": n(level) })),
            }),
        })
    });
    table("nested-32", items)
}

/// The levels a value takes up: one, and those of the deepest value in it.
fn levels(value: &Value) -> usize {
    let deepest = match (&value["M"], &value["L"]) {
        (Value::Object(entries), _) => entries.values().map(levels).max(),
        (_, Value::Array(elements)) => elements.iter().map(levels).max(),
        _ => None,
    };
    1 + deepest.unwrap_or(0)
}

/// Empty is not absent and not null. Sets cannot be empty, though their members can.
fn empty_values() -> SampleTable {
    let item = json!({
        "pk": s("all"),
        "string": s(""),
        "binary": b(""),
        "list": l([]),
        "map": m(json!({})),
        "null": nothing(),
        "members": l([s(""), b(""), l([]), m(json!({})), m(json!({ "string": s(""), "binary": b("") }))]),
        "strings": ss(["", "a"]),
        "only_string": ss([""]),
        "binaries": bs(["", "a"]),
    });
    table("empty-values", [item, json!({ "pk": s("nothing but a key") })])
}

/// Each number as an attribute, in a list and in a set, under its spelling as the key.
fn number_values() -> SampleTable {
    let all = numbers::DISTINCT.iter().chain(numbers::SPELLINGS);
    let alone = all.clone().map(
        |number| json!({ "pk": s(*number), "value": n(number), "list": l([n(number)]), "set": ns([number]) }),
    );
    let together = json!({ "pk": s("all"), "list": l(all.clone().map(n)), "set": ns(numbers::DISTINCT) });
    table("numbers", alone.chain([together]))
}

/// Each text as a key, an attribute, an attribute name and a member; the same bytes as a binary.
fn text_values() -> SampleTable {
    let alone = text::texts().into_iter().map(|text| {
        let named = m(json!({ text.as_str(): n(1) }));
        json!({ "pk": s(&text), "value": s(&text), "bytes": b(&text), "named": named })
    });
    let together = json!({
        "pk": s("all of them"),
        "set": ss(text::texts()),
        "list": l(text::texts().into_iter().map(s)),
        "binaries": bs(keys::binaries()),
    });
    table("text", alone.chain([together]))
}

/// The same characters under different types, in items whose keys look the same too.
fn look_alikes() -> SampleTable {
    let items = text::LOOK_ALIKES.iter().flat_map(|text| {
        let values = [
            s(*text),
            n(1),
            b(text),
            boolean(true),
            nothing(),
            ss([*text]),
            ns([1]),
            bs([text]),
            l([s(*text)]),
        ];
        values
            .into_iter()
            .enumerate()
            .map(move |(sort, value)| json!({ "pk": s(*text), "sk": n(sort), "1": value }))
    });
    SampleTable::listed(Create::table("look-alikes", ("pk", "S")).sort(("sk", "N")), items.collect())
}
