//! The items of the benchmark's tables: seeded, so that every process makes the same ones.

use std::fmt::Write as _;

/// Item bytes of a full Scan page (DynamoDB API Reference, “Scan”).
const PAGE_BYTES: usize = 1 << 20;

/// `{"Item":` and `}` and the line's end.
const LINE_FRAME_BYTES: usize = 10;

/// What the items of a table look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// About 1.2 KB of JSON with every type but binary sets, in pages of 1 MiB of item size.
    Usual,
    /// About 110 KB of JSON, mostly one text and one binary, in pages of 1 MiB.
    Large,
    /// Usual items in pages of 25: what a test of pace, not of bytes, reads.
    Few,
}

/// The items of one page, in DynamoDB's JSON.
#[derive(Default)]
pub(crate) struct PageItems {
    /// The members of `Items`, separated by commas.
    pub(crate) json: String,
    /// Where in `json` each item lies.
    pub(crate) items: Vec<std::ops::Range<usize>>,
    /// Size by DynamoDB's rules (DynamoDB Developer Guide, “Item sizes and formats”), numbers as their digits.
    pub(crate) item_bytes: usize,
}

impl Shape {
    /// Pages that differ; a longer table repeats them.
    pub(crate) fn distinct_pages(self) -> usize {
        match self {
            Self::Usual | Self::Few => 64,
            Self::Large => 16,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::Large => "large",
            Self::Few => "few",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Usual, Self::Large, Self::Few].into_iter().find(|shape| shape.name() == name)
    }

    /// One of the distinct pages.
    pub(crate) fn page(self, number: usize) -> PageItems {
        let mut random = Random(number as u64 + 1);
        let mut page = PageItems::default();
        while !self.is_full(&page) {
            let item = match self {
                Self::Usual | Self::Few => usual(&mut random),
                Self::Large => large(&mut random),
            };
            page.push(&item);
        }
        page
    }

    fn is_full(self, page: &PageItems) -> bool {
        match self {
            Self::Few => page.items.len() == 25,
            Self::Usual | Self::Large => page.item_bytes >= PAGE_BYTES,
        }
    }
}

impl PageItems {
    fn push(&mut self, item: &Item) {
        if !self.items.is_empty() {
            self.json.push(',');
        }
        let start = self.json.len();
        let _ = write!(self.json, "{{{}}}", item.json);
        self.items.push(start..self.json.len());
        self.item_bytes += item.size;
    }

    /// Bytes of the page as lines of an export.
    pub(crate) fn line_bytes(&self) -> u64 {
        self.items.iter().map(|item| (item.len() + LINE_FRAME_BYTES) as u64).sum()
    }
}

/// An order of a shop: strings of high and low entropy, money as text, nested addresses, lists and sets.
fn usual(random: &mut Random) -> Item {
    let mut item = Item::default();
    item.s("pk", &format!("customer#{:016x}", random.next()));
    item.n("sk", &random.below(1_000_000_000).to_string());
    item.s("order_id", &format!("{:016x}-{:016x}", random.next(), random.next()));
    item.s("status", random.pick(&["PLACED", "PAID", "SHIPPED", "DELIVERED", "RETURNED"]));
    item.s(
        "created_at",
        &format!(
            "2026-0{}-1{}T0{}:2{}:00.000Z",
            random.digit(),
            random.digit(),
            random.digit(),
            random.digit()
        ),
    );
    item.n("total", &format!("{}.{:02}", random.below(2000), random.below(100)));
    item.n("weight", &format!("3.14159265358979323846264338327950288{}", random.digit()));
    item.raw("paid", r#"{"BOOL":true}"#, 1);
    item.raw("coupon", r#"{"NULL":true}"#, 1);
    item.b("token", random, 36);
    let address = address(random);
    item.nested("address", 'M', &address);
    let mut lines = Item::default();
    for _ in 0..3 {
        lines.element(&order_line(random));
    }
    item.nested("lines", 'L', &lines);
    item.set("tags", "SS", &[random.pick(WORDS), "gift", "größe-XL"]);
    let scores = [random.below(100), random.below(100) + 100].map(|score| score.to_string());
    item.set("scores", "NS", &[&scores[0], &scores[1]]);
    let note = format!(
        "{} said: \"{} {}\"\n{}\\{} – ok",
        random.pick(WORDS),
        random.pick(WORDS),
        random.pick(WORDS),
        random.pick(WORDS),
        random.pick(WORDS)
    );
    item.s("note", &note);
    item
}

fn address(random: &mut Random) -> Item {
    let mut place = Item::default();
    place.n("lat", &format!("{}.{:06}", random.below(90), random.below(1_000_000)));
    place.n("lon", &format!("-{}.{:06}", random.below(180), random.below(1_000_000)));
    let mut address = Item::default();
    address.s(
        "street",
        &format!(
            "{} {}",
            random.pick(&["Straße der Wörter", "Rue de l’Été", "Main Street"]),
            random.below(300)
        ),
    );
    address.s("city", random.pick(&["München", "Lyon", "東京", "Springfield"]));
    address.nested("geo", 'M', &place);
    address
}

fn order_line(random: &mut Random) -> Item {
    let mut line = Item::default();
    line.s("sku", &format!("SKU-{:08}", random.below(100_000_000)));
    line.s("title", &format!("{} {}", random.pick(WORDS), random.pick(WORDS)));
    line.n("quantity", &(random.below(9) + 1).to_string());
    line.n("price", &format!("{}.{:02}", random.below(500), random.below(100)));
    line
}

fn large(random: &mut Random) -> Item {
    let mut item = Item::default();
    item.s("pk", &format!("document#{:016x}", random.next()));
    item.n("sk", &random.below(1_000_000).to_string());
    let mut text = String::new();
    while text.len() < 70_000 {
        let _ = write!(text, "{} {}, ", random.pick(WORDS), random.below(10_000));
    }
    item.s("text", &text);
    item.b("scan", random, 30_000);
    item
}

#[rustfmt::skip]
const WORDS: &[&str] = &[
    "quick", "brown", "fox", "jumps", "lazy", "dog", "table", "chair", "lamp", "garden", "bicycle", "window",
    "coffee", "naïve", "crème", "bottle", "paper", "river", "stone", "cloud", "silver", "golden", "winter", "summer",
];

/// Members of an item, of a map or of a list, and their size.
#[derive(Default)]
struct Item {
    json: String,
    size: usize,
}

impl Item {
    fn s(&mut self, name: &str, text: &str) {
        let quoted = serde_json::to_string(text).expect("a string is JSON");
        self.raw(name, &format!(r#"{{"S":{quoted}}}"#), text.len());
    }

    fn n(&mut self, name: &str, digits: &str) {
        self.raw(name, &format!(r#"{{"N":"{digits}"}}"#), digits.len() / 2 + 2);
    }

    /// Binary of a length that is a multiple of three, which needs no padding.
    fn b(&mut self, name: &str, random: &mut Random, bytes: usize) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let base64: String = (0..bytes / 3 * 4).map(|_| char::from(ALPHABET[random.below(64)])).collect();
        self.raw(name, &format!(r#"{{"B":"{base64}"}}"#), bytes);
    }

    fn set(&mut self, name: &str, kind: &str, members: &[&str]) {
        let json = serde_json::to_string(members).expect("strings are JSON");
        self.raw(name, &format!(r#"{{"{kind}":{json}}}"#), members.iter().map(|member| member.len()).sum());
    }

    /// A map (`M`) or a list (`L`) of the members.
    fn nested(&mut self, name: &str, kind: char, members: &Self) {
        let (open, close) = if kind == 'M' { ('{', '}') } else { ('[', ']') };
        self.raw(name, &format!(r#"{{"{kind}":{open}{}{close}}}"#, members.json), members.size + 3);
    }

    /// A map as an element of a list.
    fn element(&mut self, map: &Self) {
        self.comma();
        let _ = write!(self.json, r#"{{"M":{{{}}}}}"#, map.json);
        self.size += map.size + 4;
    }

    fn raw(&mut self, name: &str, value: &str, size: usize) {
        self.comma();
        let _ = write!(self.json, r#""{name}":{value}"#);
        self.size += name.len() + size;
    }

    fn comma(&mut self) {
        if !self.json.is_empty() {
            self.json.push(',');
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn digit(&mut self) -> usize {
        self.below(9) + 1
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}
