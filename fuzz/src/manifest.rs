//! The manifest of an export that DynamoDB made: the first line of the input is its summary, the rest lists its files.

use std::collections::BTreeSet;

use dynamodb_backup::archive::Backup;
use dynamodb_backup::archive::manifest::{DataFile, SummaryHead, read_files};

/// What is accepted lists each file once, in the export's own folder, with as many items as the summary counts; and
/// what is read of a file is all that it is written with.
pub fn check(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (summary, files) = (&input[..end], &input[(end + 1).min(input.len())..]);
    if let Ok(files) = read_files(files) {
        let line = |file: &DataFile| serde_json::to_string(file).expect("plain data") + "\n";
        let written: String = files.iter().map(line).collect();
        assert_eq!(read_files(written.as_bytes()).expect("it is what was written"), files);
    }
    let Ok((backup, _)) = Backup::of_native_export("an/export/", summary, files) else { return };
    let parts = || backup.parts();
    let files = read_files(files).expect("it was accepted");
    let summary: SummaryHead = serde_json::from_slice(summary).expect("it was accepted");
    let items: u128 = parts().map(|part| u128::from(part.items)).sum();
    assert_eq!(items, u128::from(summary.item_count));
    assert_eq!(parts().count(), files.len(), "every file is a part");
    assert_eq!(parts().map(|part| &part.key).collect::<BTreeSet<_>>().len(), files.len(), "each once");
    for (part, file) in parts().zip(&files) {
        let name = part.key.strip_prefix("an/export/data/").expect("it is in the folder of the export");
        assert!(!name.contains('/') && file.data_file_s3_key.ends_with(name));
        assert_eq!((part.items, &part.md5), (file.item_count, &file.md5_checksum));
    }
}
