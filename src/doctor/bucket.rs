//! The bucket of the archive.

use super::mend::{NETWORK, grant};
use super::{Check, Permissions};
use crate::archive::layout::Layout;
use crate::aws::s3::{Bucket, Encryption, Unusable};
use crate::aws::sts::Identity;
use crate::aws::{Session, Told};
use crate::config::Config;
use crate::error::Result;

const CHECK: &str = "bucket";

/// What a bucket is examined with.
struct Examined<'a> {
    bucket: Bucket,
    identity: &'a Identity,
}

pub(super) async fn examine(session: &Session, config: &Config, identity: &Identity) -> Vec<Check> {
    let name = &config.bucket;
    let bucket = match Bucket::find(session, name).await {
        Ok(bucket) => bucket,
        Err(found) => return vec![unusable(found, name, session.region(), identity)],
    };
    let mut checks = vec![Check::fine(CHECK, format!("{name}, in {}", session.region()))];
    let layout = Layout::new(&config.prefix);
    let examined = Examined { bucket, identity };
    checks.push(examined.owner().await);
    checks.extend(examined.permissions(&layout.runs()).await);
    checks.push(examined.versioning().await);
    checks.push(examined.object_lock().await);
    checks.push(examined.public_access().await);
    checks.extend(examined.encryption().await);
    checks
}

fn unusable(found: Unusable, name: &str, region: &str, identity: &Identity) -> Check {
    let mend = match &found {
        Unusable::Elsewhere(other) => format!("export AWS_REGION={other}"),
        // us-east-1 has no location constraint (S3 API Reference, “CreateBucket”).
        Unusable::Missing if region == "us-east-1" => format!("aws s3api create-bucket --bucket {name}"),
        Unusable::Missing => format!(
            "aws s3api create-bucket --bucket {name} --create-bucket-configuration LocationConstraint={region}"
        ),
        Unusable::Forbidden => grant(identity, "bucket", &["s3:ListBucket"], &[bucket_arn(identity, name)]),
        Unusable::Failed(_) => NETWORK.to_owned(),
    };
    let error = found.into_error(name, region);
    Check::wrong(CHECK, format!("{error:#}")).mend(mend)
}

fn bucket_arn(identity: &Identity, name: &str) -> String {
    format!("arn:{}:s3:::{name}", identity.partition())
}

impl Examined<'_> {
    fn name(&self) -> &str {
        self.bucket.name()
    }

    fn s3api(&self, command: &str) -> String {
        let (verb, arguments) = command.split_once(' ').unwrap_or((command, ""));
        format!("aws s3api {verb} --bucket {} {arguments}", self.name()).trim_end().to_owned()
    }

    async fn owner(&self) -> Check {
        let (check, account) = ("bucket owner", &self.identity.account_id);
        match self.bucket.is_owned_by(account).await {
            Ok(true) => Check::fine(check, format!("account {account}")),
            Ok(false) => Check::warning(
                check,
                format!(
                    "bucket {} belongs to another account than {account}: who owns it holds the backups",
                    self.name()
                ),
            )
            .mend("name a bucket of this account with --bucket or BACKUP_BUCKET, unless that is meant"),
            Err(error) => Check::not_checked(check, format!("{error:#}")),
        }
    }

    async fn permissions(&self, runs: &str) -> Vec<Check> {
        let mut permissions = Permissions::default();
        permissions.add("s3:ListBucket", self.bucket.may_list(runs).await);
        permissions.add("s3:GetObject", self.bucket.may_get(&format!("{runs}doctor/none.json")).await);
        let arn = bucket_arn(self.identity, self.name());
        let resources = [arn.clone(), format!("{arn}/*")];
        let mut checks =
            permissions.into_checks(CHECK, |denied| grant(self.identity, "bucket", denied, &resources));
        let unseen = "s3:PutObject: only writing shows that it is allowed, and what is written stays";
        checks.push(Check::not_checked(CHECK, unseen));
        checks
    }

    async fn versioning(&self) -> Check {
        let check = "bucket versioning";
        self.told(check, "s3:GetBucketVersioning", self.bucket.is_versioned().await, |is_versioned| {
            if is_versioned {
                return Check::fine(check, "on");
            }
            let mend = self.s3api("put-bucket-versioning --versioning-configuration Status=Enabled");
            Check::warning(check, "off: an object that somebody deletes or overwrites is gone").mend(mend)
        })
    }

    async fn object_lock(&self) -> Check {
        let check = "bucket lock";
        self.told(check, "s3:GetBucketObjectLockConfiguration", self.bucket.object_lock().await, |lock| {
            match lock {
                Some(retention) => Check::fine(check, format!("Object Lock is on, {retention}")),
                None => Check::fine(check, "Object Lock is off: who may delete objects may delete backups"),
            }
        })
    }

    async fn public_access(&self) -> Check {
        let check = "bucket public access";
        self.told(check, "s3:GetBucketPublicAccessBlock", self.bucket.is_private().await, |is_private| {
            if is_private {
                return Check::fine(check, "blocked");
            }
            let mend = self.s3api(
                "put-public-access-block --public-access-block-configuration BlockPublicAcls=true,\
                 IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true",
            );
            Check::warning(check, "not blocked: a policy could make the backups public").mend(mend)
        })
    }

    async fn encryption(&self) -> Vec<Check> {
        let check = "bucket encryption";
        let told = self.bucket.encryption().await;
        let is_kms = matches!(&told, Ok(Told::Is(it)) if it.algorithm.starts_with("aws:kms"));
        let mut checks = vec![self.told(check, "s3:GetEncryptionConfiguration", told, |encryption| {
            let Encryption { algorithm, kms_key } = encryption;
            let key = kms_key.map(|key| format!(" with key {key}")).unwrap_or_default();
            Check::fine(check, format!("{algorithm}{key}"))
        })];
        if is_kms {
            let unseen =
                "kms:GenerateDataKey, kms:Decrypt: only writing and reading show that they are allowed";
            checks.push(Check::not_checked(check, unseen));
        }
        checks
    }

    /// What was told, or that it may not be read: a run does without.
    fn told<T>(
        &self,
        check: &str,
        permission: &str,
        told: Result<Told<T>>,
        of: impl FnOnce(T) -> Check,
    ) -> Check {
        match told {
            Ok(Told::Is(value)) => of(value),
            Ok(Told::NotReadable) => Check::warning(check, format!("not readable: grant {permission}")).mend(
                grant(self.identity, "doctor", &[permission], &[bucket_arn(self.identity, self.name())]),
            ),
            Err(error) => Check::not_checked(check, format!("{error:#}")),
        }
    }
}
