//! SSM: the parameters of one environment.

use std::collections::BTreeMap;

use super::Session;
use super::failure::failure;
use crate::error::Result;

impl Session {
    /// All parameters under `path` (which ends in `/`), SecureStrings decrypted, by their names below it.
    pub async fn parameters(&self, path: &str) -> Result<BTreeMap<String, String>> {
        let client = aws_sdk_ssm::Client::new(&self.sdk);
        let mut pages =
            client.get_parameters_by_path().path(path).with_decryption(true).into_paginator().send();
        let mut parameters = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|error| failure(&error, format!("read the SSM parameters under {path}")))?;
            for parameter in page.parameters.unwrap_or_default() {
                let (Some(name), Some(value)) = (parameter.name, parameter.value) else { continue };
                parameters.insert(name.trim_start_matches(path).to_owned(), value);
            }
        }
        Ok(parameters)
    }
}
