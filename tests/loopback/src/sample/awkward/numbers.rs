//! Numbers at the ends of DynamoDB's range, and odd spellings of plain ones.
//!
//! A number has up to 38 significant digits and is 0 or of a magnitude from 1E-130 to
//! 9.9999999999999999999999999999999999999E+125. Source: "Supported data types and naming rules in Amazon
//! DynamoDB" in the Amazon DynamoDB Developer Guide.

/// Numbers that all differ in value, so that each of them can be a key of its own.
pub(super) const DISTINCT: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "9",
    "10",
    "-10",
    "0.1",
    "-0.1",
    "1.50",
    "0042",
    "1000000",
    "2147483648",
    "9007199254740993",
    "18446744073709551616",
    "0.30000000000000004",
    "3.1415926535897932384626433832795028842",
    "12345678901234567890123456789012345678",
    "12345678901234567890123456789012345679",
    "-12345678901234567890123456789012345678",
    "99999999999999999999999999999999999999",
    "0.99999999999999999999999999999999999999",
    "1E-130",
    "-1E-130",
    "1.2345678901234567890123456789012345678E-92",
    "9.9999999999999999999999999999999999999E+125",
    "-9.9999999999999999999999999999999999999E+125",
    "1e125",
    "-1E125",
    "1e-3",
    "123e3",
];

/// More spellings of values above; not for keys, where they would meet.
pub(super) const SPELLINGS: &[&str] = &[
    "-0", "+0", "0.0", "-0.00", "0e10", "0E-130", "1.0", "1.000", "01", "+1", "1e0", "10e-1", ".1", "0.10",
    "2.", "1.5", "42", "1E6", "1000e3", "1.00e1",
];
