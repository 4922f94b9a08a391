//! How the text of a setting becomes its value, and what is said when it does not.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use tracing_subscriber::EnvFilter;

use super::mistake::Wrong;
use crate::rate::Budget;
use crate::table::Pattern;

pub(super) type Parsed<T> = Result<T, Wrong>;

/// One of a few words.
pub(super) fn choice<T: Copy>(words: &[(&str, T)]) -> impl FnOnce(&str) -> Parsed<T> {
    move |text| match words.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(*value),
        None => {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            Err(Wrong::new("not one of the choices", format!("give {}", words.join(" or "))))
        }
    }
}

pub(super) fn switch(text: &str) -> Parsed<bool> {
    choice(&[("true", true), ("false", false)])(text)
}

pub(super) fn whole_number<T>(range: RangeInclusive<T>) -> impl FnOnce(&str) -> Parsed<T>
where
    T: FromStr + PartialOrd + Display,
{
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        let mend = || format!("give a whole number from {} to {}", range.start(), range.end());
        number.ok_or_else(|| Wrong::new("not a number in range", mend()))
    }
}

/// A duration in jiff's friendly format, as in `90s` or `1h 30m`.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl FnOnce(&str) -> Parsed<Duration> {
    move |text| {
        let parsed = text.parse::<SignedDuration>();
        let mend = || format!("give for example 90s, 15m or 6h, from {}", friendly(&range));
        let signed = parsed.map_err(|_| Wrong::new("not a duration", mend()))?;
        let duration = Duration::try_from(signed).ok().filter(|duration| range.contains(duration));
        duration.ok_or_else(|| Wrong::new("too short or too long", mend()))
    }
}

fn friendly(range: &RangeInclusive<Duration>) -> String {
    let text = |duration: &Duration| {
        SignedDuration::try_from(*duration).map(|it| format!("{it:#}")).unwrap_or_default()
    };
    format!("{} to {}", text(range.start()), text(range.end()))
}

pub(super) fn environment(text: &str) -> Parsed<String> {
    let mend = "give 1 to 32 of a-z, A-Z, 0-9, '-' and '_'";
    plain(text, 1..=32, |byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte), mend)
}

/// A bucket's name (S3 User Guide, “General purpose buckets naming rules”); S3 has the last word.
pub(super) fn bucket(text: &str) -> Parsed<String> {
    let mend = "give the name alone, without s3:// and without a prefix";
    plain(text, 3..=63, |byte| is_lower_or_digit(byte) || b"-.".contains(&byte), mend)
}

/// A key prefix without slashes at its ends, of characters that need no escaping anywhere
/// (S3 User Guide, “Naming Amazon S3 objects”).
pub(super) fn prefix(text: &str) -> Parsed<String> {
    let prefix = text.trim_matches('/');
    let mend = "give at most 200 of a-z, A-Z, 0-9 and !-_.*'()=, with single slashes between";
    if !prefix.is_empty() && prefix.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Wrong::new("has an empty part, '.' or '..' between slashes", mend));
    }
    plain(prefix, 0..=200, |byte| byte.is_ascii_alphanumeric() || b"!-_.*'()=/".contains(&byte), mend)
}

/// A queue's name or URL.
pub(super) fn queue(text: &str) -> Parsed<String> {
    if text.ends_with(".fifo") {
        let what = "a FIFO queue, which cannot delay a single message";
        return Err(Wrong::new(what, "give a standard queue"));
    }
    if text.starts_with("https://") || text.starts_with("http://") {
        return Ok(text.to_owned());
    }
    let mend = "give its URL, or its name: 1 to 80 of a-z, A-Z, 0-9, '-' and '_'";
    plain(text, 1..=80, |byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte), mend)
}

pub(super) fn source_name(text: &str) -> Parsed<String> {
    let mend = "give 1 to 32 of a-z, 0-9 and '-'";
    plain(text, 1..=32, |byte| is_lower_or_digit(byte) || byte == b'-', mend)
}

pub(super) fn region(text: &str) -> Parsed<String> {
    let mend = "give for example eu-central-1";
    let region = plain(text, 1..=32, |byte| is_lower_or_digit(byte) || byte == b'-', mend)?;
    let is_numbered = region.rsplit_once('-').is_some_and(|(_, number)| number.parse::<u8>().is_ok());
    if is_numbered { Ok(region) } else { Err(Wrong::new("not a region", mend)) }
}

/// An ARN, id or alias of a KMS key; DynamoDB and KMS have the last word.
pub(super) fn kms_key(text: &str) -> Parsed<String> {
    let mend = "give the ARN, the id or the alias of a KMS key of the backup account, such as alias/backup";
    plain(text, 1..=2048, |byte| byte.is_ascii_alphanumeric() || b"-_:/".contains(&byte), mend)
}

/// What may precede a table name: its characters, and room for the shortest name.
pub(super) fn target_prefix(text: &str) -> Parsed<String> {
    let mend = "give at most 252 of a-z, A-Z, 0-9, '-', '_' and '.'";
    plain(text, 0..=252, |byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte), mend)
}

/// Table patterns between commas.
pub(super) fn patterns(text: &str) -> Parsed<Vec<Pattern>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let parsed: Result<_, _> = parts.map(Pattern::parse).collect();
    parsed.map_err(|error| Wrong::new(error.to_string(), "give for example orders-*,users"))
}

/// A share of a whole; all of it is no limit.
pub(super) fn percent(text: &str) -> Parsed<u8> {
    let number = text.strip_suffix('%').ok_or_else(|| Wrong::new("not a percentage", "give 0% to 100%"))?;
    whole_number(0..=100)(number).map_err(|_| Wrong::new("not a percentage", "give 0% to 100%"))
}

/// Units a second, or percent of what a table has.
pub(super) fn budget(text: &str) -> Parsed<Budget> {
    let mend = "give units a second such as 400, or 1% to 100% of what a table has";
    Budget::parse(text).ok_or_else(|| Wrong::new("not a budget", mend))
}

/// A filter that [`EnvFilter`] accepts.
pub(super) fn log_filter(text: &str) -> Parsed<String> {
    let mend = "give a level or targets with levels, for example info,dynamodb_backup=debug";
    let accepted = EnvFilter::builder().parse(text);
    accepted.map(|_| text.to_owned()).map_err(|error| Wrong::new(error.to_string(), mend))
}

fn plain(
    text: &str,
    lengths: RangeInclusive<usize>,
    allowed: impl Fn(u8) -> bool,
    mend: &str,
) -> Parsed<String> {
    if let Some(character) = text.chars().find(|it| !u8::try_from(*it).is_ok_and(&allowed)) {
        return Err(Wrong::new(format!("{character:?} is not allowed"), mend));
    }
    if lengths.contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(Wrong::new(format!("{} characters long", text.len()), mend))
    }
}

fn is_lower_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_number_stays_in_its_range() {
        let lanes = |text| whole_number(1..=1000_u32)(text).ok();
        assert_eq!([lanes("1"), lanes("1000")], [Some(1), Some(1000)]);
        for bad in ["0", "1001", "-1", "4.0", "four", "", "99999999999"] {
            assert_eq!(lanes(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_duration_has_a_unit_and_stays_in_its_range() {
        let parse = |text| duration(MINUTE..=MINUTE * 60)(text).ok();
        assert_eq!(parse("90s"), Some(Duration::from_secs(90)));
        assert_eq!(parse("1h"), Some(MINUTE * 60));
        assert_eq!(parse("1m 30s"), Some(Duration::from_secs(90)));
        for bad in ["90", "59s", "61m", "-5m", "soon", ""] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_duration_out_of_range_names_the_range() {
        let wrong = duration(MINUTE..=MINUTE * 720)("13h").unwrap_err();
        let mend = "give for example 90s, 15m or 6h, from 1m to 12h";
        assert_eq!(wrong, Wrong::new("too short or too long", mend));
    }

    #[test]
    fn a_percentage_ends_in_its_sign_and_is_at_most_all() {
        assert_eq!((percent("0%"), percent("30%"), percent("100%")), (Ok(0), Ok(30), Ok(100)));
        for bad in ["30", "101%", "-1%", "%", "", "1.5%"] {
            assert_eq!(percent(bad).unwrap_err(), Wrong::new("not a percentage", "give 0% to 100%"));
        }
    }

    #[test]
    fn a_budget_is_units_or_percent_and_a_bad_one_says_so() {
        assert_eq!(budget("400").unwrap(), Budget::Units(400));
        assert_eq!(budget("50%").unwrap(), Budget::Percent(50));
        let mend = "give units a second such as 400, or 1% to 100% of what a table has";
        assert_eq!(budget("150%").unwrap_err(), Wrong::new("not a budget", mend));
    }

    #[test]
    fn a_prefix_loses_the_slashes_at_its_ends_only() {
        assert_eq!(prefix("/a/b/").unwrap(), "a/b");
        assert_eq!(prefix("/").unwrap(), "");
        assert_eq!(prefix("").unwrap(), "");
        for bad in ["a//b", "a/../b", ".", "a b", "ü", "a\nb"] {
            assert!(prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bucket_is_a_name_alone() {
        assert_eq!(bucket("my-backups.eu").unwrap(), "my-backups.eu");
        for bad in ["s3://my-backups", "my-backups/prefix", "My-Backups", "ab", ""] {
            assert!(bucket(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_queue_is_a_name_or_a_url_and_never_fifo() {
        let url = "https://sqs.eu-west-1.amazonaws.com/111111111111/jobs";
        assert_eq!(queue(url).unwrap(), url);
        assert_eq!(queue("jobs").unwrap(), "jobs");
        for bad in ["jobs.fifo", "https://x/1/jobs.fifo", "arn:aws:sqs:eu-west-1:1:jobs", ""] {
            assert!(queue(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_region_ends_in_a_number() {
        for good in ["eu-central-1", "us-gov-west-1", "cn-north-1"] {
            assert_eq!(region(good).unwrap(), good);
        }
        for bad in ["europe", "eu-central-1a", "EU-CENTRAL-1", "eu central 1", ""] {
            assert!(region(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns_lie_between_commas_and_the_bad_one_is_named() {
        let texts: Vec<_> = patterns("orders-*, users,").unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["orders-*", "users"]);
        assert!(patterns("").unwrap().is_empty());
        assert!(format!("{:?}", patterns("users,or ders").unwrap_err()).contains("or ders"));
    }

    #[test]
    fn the_log_filter_is_what_tracing_accepts() {
        assert!(log_filter("info,dynamodb_backup=debug").is_ok());
        assert!(log_filter("dynamodb_backup=loud").is_err());
    }
}
