//! DynamoDB's decimal numbers, compared by value.

/// The one text that all spellings of a number share, `<sign><digits>e<exponent>` without zeros at either
/// end of the digits, or `0`; none when the text is not a decimal number.
///
/// DynamoDB keeps 38 significant digits between 1E-130 and 9.9…E+125 (DynamoDB Developer Guide, “Supported
/// data types and naming rules”). That range is not checked here: whatever the service sent has an identity.
pub(super) fn canonical(text: &str) -> Option<String> {
    let (is_negative, unsigned) = split_sign(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    let trailing_zeros = digits.len() - significant.len();
    let exponent = exponent + length(trailing_zeros) - length(fraction.len());
    Some(match significant.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => format!("{}{digits}e{exponent}", if is_negative { "-" } else { "" }),
    })
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Limited to what an `i32` holds, so that the sums above cannot overflow.
fn parse_exponent(text: &str) -> Option<i64> {
    text.parse::<i32>().ok().map(i64::from)
}

fn length(digits: usize) -> i64 {
    i64::try_from(digits).expect("no text is that long")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        fn no_text_makes_it_panic(text in "\\PC{0,20}|[-+.eE0-9]{0,20}") {
            let _ = canonical(&text);
        }
    }
}
