//! The CPU that each client needs, as bars on a logarithmic scale, in SVG.

use std::fmt::Write as _;

use crate::series::{Results, Sample, Series, Spread};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 310.0;
const RIGHT: f64 = 90.0;
const ROW: f64 = 24.0;
const BAR: f64 = 14.0;
/// Above the first section: the title and what is drawn.
const TOP: f64 = 58.0;
const SECTION: f64 = 40.0;
const BOTTOM: f64 = 40.0;

const INK: &str = "#24292f";
const PALE_INK: &str = "#6e7781";
const GRID: &str = "#eaeef2";

const SECTIONS: [(&str, &[&str]); 2] =
    [("Export", &["export", "peers, export"]), ("Write", &["write", "peers, write"])];

/// A client and its CPU seconds for 10^9 bytes.
struct Bar<'a> {
    id: &'static str,
    series: &'a Series,
    cpu: Spread,
}

/// The powers of ten between which every bar lies.
struct Scale {
    from: i32,
    to: i32,
}

/// Draws every client that has samples.
pub(crate) fn svg(results: &Results) -> String {
    let sections: Vec<_> = SECTIONS.iter().map(|(title, of)| (*title, bars(results, of))).collect();
    let sections: Vec<_> = sections.into_iter().filter(|(_, bars)| !bars.is_empty()).collect();
    let scale = Scale::of(sections.iter().flat_map(|(_, bars)| bars));
    let rows: usize = sections.iter().map(|(_, bars)| bars.len()).sum();
    let height = TOP + BOTTOM + SECTION * sections.len() as f64 + ROW * rows as f64;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="12.5" fill="{INK}">
<rect width="100%" height="100%" rx="8" fill="#ffffff"/>
"##
    );
    text(
        &mut svg,
        20.0,
        28.0,
        "start",
        INK,
        "CPU seconds for one gigabyte of DynamoDB JSON",
        r#" font-size="16" font-weight="600""#,
    );
    let caption = "User and system time of the client; logarithmic scale; median, with the least and the greatest of all rounds";
    text(&mut svg, 20.0, 47.0, "start", PALE_INK, caption, "");
    grid(&mut svg, &scale, height);
    let mut y = TOP;
    for (title, bars) in &sections {
        y += SECTION;
        text(&mut svg, 20.0, y - 12.0, "start", INK, title, r#" font-weight="600""#);
        for bar in bars {
            bar.draw(&mut svg, &scale, y);
            y += ROW;
        }
    }
    svg + "</svg>\n"
}

/// The clients of some sections, the cheapest first.
fn bars<'a>(results: &'a Results, sections: &[&str]) -> Vec<Bar<'a>> {
    let of_sections = results.series.iter().filter(|(id, series)| {
        sections.contains(&series.section)
            && !id.starts_with("ours-peers")
            && !id.starts_with("write-ours-peers")
    });
    let mut bars: Vec<_> = of_sections
        .filter_map(|(id, series)| {
            Some(Bar { id, series, cpu: results.spread(id, Sample::cpu_per_gigabyte)? })
        })
        .collect();
    bars.sort_by(|a, b| a.cpu.median.total_cmp(&b.cpu.median));
    bars
}

impl Bar<'_> {
    fn colour(&self) -> &'static str {
        if self.id.contains("ours") {
            "#1f883d"
        } else if self.id.contains("floor") {
            "#afb8c1"
        } else {
            "#8fb8ed"
        }
    }

    fn draw(&self, svg: &mut String, scale: &Scale, y: f64) {
        let end = scale.x(self.cpu.median);
        let (middle, weight) =
            (y + BAR / 2.0, if self.id.contains("ours") { r#" font-weight="600""# } else { "" });
        text(svg, LEFT - 10.0, middle + 4.0, "end", INK, &self.series.label, weight);
        let (width, colour) = (end - LEFT, self.colour());
        let _ = writeln!(
            svg,
            r#"<rect x="{LEFT}" y="{y:.1}" width="{width:.1}" height="{BAR}" rx="2.5" fill="{colour}"/>"#
        );
        let (least, greatest) = (scale.x(self.cpu.min), scale.x(self.cpu.max));
        let _ = writeln!(
            svg,
            r#"<line x1="{least:.1}" x2="{greatest:.1}" y1="{middle:.1}" y2="{middle:.1}" stroke="{INK}" stroke-opacity="0.55"/>"#
        );
        text(svg, greatest.max(end) + 6.0, middle + 4.0, "start", INK, &number(self.cpu.median), weight);
    }
}

impl Scale {
    fn of<'a>(bars: impl Iterator<Item = &'a Bar<'a>>) -> Self {
        let (mut from, mut to) = (f64::MAX, f64::MIN);
        for bar in bars {
            (from, to) = (from.min(bar.cpu.min.log10().floor()), to.max(bar.cpu.max.log10().ceil()));
        }
        // Without a bar there is a scale all the same.
        if from >= to { Self { from: 0, to: 1 } } else { Self { from: from as i32, to: to as i32 } }
    }

    fn x(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.from)) / f64::from(self.to - self.from);
        LEFT + share.max(0.0) * (WIDTH - LEFT - RIGHT)
    }
}

fn grid(svg: &mut String, scale: &Scale, height: f64) {
    for power in scale.from..=scale.to {
        let value = 10_f64.powi(power);
        let (x, bottom) = (scale.x(value), height - BOTTOM);
        let _ =
            writeln!(svg, r#"<line x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{bottom:.1}" stroke="{GRID}"/>"#);
        text(svg, x, bottom + 18.0, "middle", PALE_INK, &format!("{value}"), "");
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, colour: &str, text: &str, attributes: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        svg,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{colour}"{attributes}>{text}</text>"#
    );
}

fn number(value: f64) -> String {
    if value < 1.0 {
        format!("{value:.2}")
    } else if value < 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}
