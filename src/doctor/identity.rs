//! Who we are, and whether our clock is right.

use jiff::SignedDuration;

use super::Check;
use super::mend::NETWORK;
use crate::aws::sts::Identity;
use crate::error::Result;

/// What AWS takes: a request must reach it within five minutes of the time it is signed with (IAM User Guide, “AWS
/// Signature Version 4 for API requests”). The SDK makes up for more, if AWS lets it know; the times that we write
/// into the archive stay wrong.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(5);
const SUSPICIOUS_SKEW: SignedDuration = SignedDuration::from_mins(1);

pub(super) fn examine(identity: &Result<Identity>, region: &str) -> Vec<Check> {
    let identity = match identity {
        Ok(identity) => identity,
        Err(error) => {
            let mend = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run this where a role is \
                        attached";
            let check = Check::wrong("identity", format!("{error:#}")).mend(mend);
            return vec![if error.is_retryable() { check.mend(NETWORK) } else { check }];
        }
    };
    let finding = format!("account {} in {region}, as {}", identity.account_id, identity.arn);
    vec![Check::fine("identity", finding), clock(identity.clock_ahead)]
}

fn clock(ahead: Option<SignedDuration>) -> Check {
    let Some(ahead) = ahead else {
        return Check::not_checked("clock", "the answer of STS did not say what time it is");
    };
    let direction = if ahead.is_positive() { "behind" } else { "ahead of" };
    let finding = format!("{} s {direction} AWS's", ahead.abs().as_secs());
    let check = if ahead.abs() > MAX_SKEW {
        Check::wrong("clock", format!("{finding}: AWS refuses what is signed more than 5 minutes off"))
    } else if ahead.abs() > SUSPICIOUS_SKEW {
        Check::warning("clock", format!("{finding}: from 5 minutes on, AWS refuses what is signed with it"))
    } else {
        return Check::fine("clock", "less than a minute off AWS's");
    };
    check.mend("timedatectl set-ntp true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Mark;

    #[test]
    fn a_clock_may_be_a_minute_off_and_must_not_be_five() {
        let marks =
            |seconds: [i64; 4]| seconds.map(|seconds| clock(Some(SignedDuration::from_secs(seconds))).mark);
        assert_eq!(marks([-301, -61, -60, 0]), [Mark::Wrong, Mark::Warning, Mark::Fine, Mark::Fine]);
        assert_eq!(marks([301, 300, 61, 60]), [Mark::Wrong, Mark::Warning, Mark::Warning, Mark::Fine]);
        let late = clock(Some(SignedDuration::from_secs(400)));
        assert!(late.finding.starts_with("400 s behind AWS's"), "{}", late.finding);
    }
}
