//! DynamoDB's decimal numbers, compared by value.

/// A decimal number: its significant digits, without zeros at either end, times a power of ten.
///
/// DynamoDB keeps 38 significant digits between 1E-130 and 9.9…E+125 (DynamoDB Developer Guide, “Supported
/// data types and naming rules”). That range is not checked here: whatever the service sent has an identity.
pub(super) struct Decimal<'a> {
    is_negative: bool,
    /// The digits that were before the point, and those that were behind it.
    digits: (&'a [u8], &'a [u8]),
    exponent: i64,
}

impl<'a> Decimal<'a> {
    /// `None` when the text is not a decimal number.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let (is_negative, unsigned) = split_sign(text);
        let (whole, rest) = split_digits(unsigned);
        let (fraction, rest) = rest.strip_prefix(b".").map_or((&[][..], rest), split_digits);
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', exponent @ ..] => parse_exponent(exponent)?,
            _ => return None,
        };
        Some(Self::trimmed(is_negative, whole, fraction, exponent))
    }

    fn trimmed(is_negative: bool, whole: &'a [u8], fraction: &'a [u8], exponent: i64) -> Self {
        let whole = trim_start(whole);
        let significant = trim_end(fraction);
        let mut exponent = exponent - length(significant.len());
        let digits = match (whole, significant) {
            ([], _) => (whole, trim_start(significant)),
            (_, []) => (trim_end(whole), significant),
            _ => (whole, significant),
        };
        exponent += length(whole.len() - digits.0.len());
        Self { is_negative: is_negative && digits != (&[], &[]), digits, exponent }
    }

    /// Zero is not, whatever its sign.
    pub(super) fn is_negative(&self) -> bool {
        self.is_negative
    }

    /// How many of the significant digits are before the point, and how many behind it, when the number is
    /// written without an exponent.
    pub(super) fn significant_digits(&self) -> (usize, usize) {
        let count = self.digits.0.len() + self.digits.1.len();
        let before_point = (length(count) + self.exponent).clamp(0, length(count));
        let whole = usize::try_from(before_point).expect("it is between 0 and the count");
        (whole, count - whole)
    }

    /// Appends the one text that all spellings of a number share, `<sign><digits>e<exponent>`, or `0`.
    pub(super) fn push_canonical(&self, to: &mut Vec<u8>) {
        if self.digits == (&[], &[]) {
            to.push(b'0');
            return;
        }
        if self.is_negative {
            to.push(b'-');
        }
        to.extend_from_slice(self.digits.0);
        to.extend_from_slice(self.digits.1);
        to.push(b'e');
        push_integer(self.exponent, to);
    }
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

fn trim_start(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().take_while(|digit| **digit == b'0').count()..]
}

fn trim_end(digits: &[u8]) -> &[u8] {
    &digits[..digits.len() - digits.iter().rev().take_while(|digit| **digit == b'0').count()]
}

/// Limited to what an `i32` holds, so that no sum with it can overflow.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    str::from_utf8(text).ok()?.parse::<i32>().ok().map(i64::from)
}

/// Most exponents have one digit: the formatter of the standard library takes longer to set up.
fn push_integer(integer: i64, to: &mut Vec<u8>) {
    if integer < 0 {
        to.push(b'-');
    }
    let (mut digits, mut start, mut rest) = ([0; 20], 20, integer.unsigned_abs());
    while rest > 0 || start == 20 {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    to.extend_from_slice(&digits[start..]);
}

fn length(digits: usize) -> i64 {
    i64::try_from(digits).expect("no text is that long")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::item::reference::canonical_number;

    fn canonical(text: &str) -> Option<String> {
        let mut form = Vec::new();
        Decimal::parse(text.as_bytes())?.push_canonical(&mut form);
        Some(String::from_utf8(form).unwrap())
    }

    fn all_one(spellings: &[&str]) -> Option<String> {
        let first = canonical(spellings[0]);
        for spelling in spellings {
            assert_eq!(canonical(spelling), first, "{spelling}");
        }
        first
    }

    #[test]
    fn every_spelling_of_a_number_has_one_form() {
        assert_eq!(all_one(&["1", "1.0", "01E0", "+1", "0.1e1", "10E-1", "1.", "100e-02"]).unwrap(), "1e0");
        assert_eq!(all_one(&["-12300", "-1.23E4", "-0012300.000"]).unwrap(), "-123e2");
        assert_eq!(all_one(&["0", "-0", "0.000", "-0E99", "00", ".0"]).unwrap(), "0");
        assert_eq!(all_one(&["0.00525", ".525e-2", "525E-5"]).unwrap(), "525e-5");
    }

    #[test]
    fn different_numbers_stay_different_at_the_edges_of_the_range() {
        let nines = "9".repeat(38);
        let forms = ["1E-130", "1E-129", "-1E-130", &format!("{nines}E88"), &format!("{nines}E87"), &nines];
        let distinct: std::collections::HashSet<_> =
            forms.iter().map(|text| canonical(text).unwrap()).collect();
        assert_eq!(distinct.len(), forms.len());
        assert_eq!(canonical(&format!("0.{}1", "0".repeat(129))), canonical("1E-130"));
    }

    #[test]
    fn what_is_not_a_decimal_number_has_no_form() {
        for bad in [
            "",
            "-",
            ".",
            "e5",
            "1e",
            "1e1.5",
            "--1",
            "1 ",
            "0x1",
            "NaN",
            "1.2.3",
            "1,5",
            "1e99999999999",
            "٣",
        ] {
            assert_eq!(canonical(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn small_numbers_agree_with_integer_arithmetic(a in -9999i64..9999, b in -9999i64..9999, zeros in 0usize..4) {
            let (padding, spelling) = ("0".repeat(zeros), format!("{b}e2"));
            let scaled = format!("{}{}.{padding}", a, "00");
            prop_assert_eq!(canonical(&scaled) == canonical(&spelling), a == b);
        }

        #[test]
        fn moving_the_point_and_adding_zeros_changes_nothing(
            digits in "[0-9]{1,38}", point in 0usize..38, exponent in -130i32..126, zeros in 0usize..5,
        ) {
            let zeros = "0".repeat(zeros);
            let (whole, fraction) = digits.split_at(point.min(digits.len()));
            let moved = exponent + i32::try_from(fraction.len()).unwrap();
            let spelling = format!("{zeros}{whole}.{fraction}{zeros}E{moved:+}");
            prop_assert_eq!(canonical(&spelling), canonical(&format!("{digits}e{exponent}")));
        }

        #[test]
        fn the_form_of_a_form_is_itself(text in "-?[0-9]{1,20}(\\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?") {
            let form = canonical(&text).unwrap();
            prop_assert_eq!(canonical(&form), Some(form.clone()));
        }

        #[test]
        fn any_text_has_the_form_that_it_has_by_definition(text in "\\PC{0,20}|[-+.eE0-9]{0,20}|[-+]?[0-9.]{1,20}([eE][-+]?[0-9]{1,11})?") {
            prop_assert_eq!(canonical(&text), canonical_number(&text));
        }
    }
}
