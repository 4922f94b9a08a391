//! The command line of the bench.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

pub(crate) const HELP: &str = "\
Measures the data path against its floor, the typed SDK and other tools, on a fake AWS of its own.

  cargo bench --bench data_path -- [OPTIONS]

  --json            print one JSON object: goals G1 to G9 and every figure
  --svg FILE        draw the figures
  --quick           a quarter of the data, three rounds
  --only SECTIONS   of export, write, peers, scaling, separated by commas
  --rounds N        rounds of the sections export and write [default: 7]
  --gigabytes N     lines that an export reads [default: 0.9]
";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    Export,
    Write,
    Peers,
    Scaling,
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) json: bool,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) quick: bool,
    pub(crate) help: bool,
    pub(crate) only: BTreeSet<Section>,
    pub(crate) rounds: usize,
    /// 10^9 bytes of lines that an export of ours reads.
    pub(crate) gigabytes: f64,
}

impl Options {
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            json: false,
            svg: None,
            quick: false,
            help: false,
            only: BTreeSet::new(),
            rounds: 7,
            gigabytes: 0.9,
        };
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                // What cargo itself says to every bench.
                "--bench" => {}
                "--json" => options.json = true,
                "--help" | "-h" => options.help = true,
                "--quick" => (options.quick, options.rounds, options.gigabytes) = (true, 3, 0.22),
                "--svg" => options.svg = Some(value()?.into()),
                "--only" => options.only = value()?.split(',').map(section).collect::<Result<_>>()?,
                "--rounds" => options.rounds = value()?.parse()?,
                "--gigabytes" => options.gigabytes = value()?.parse()?,
                _ => bail!("{argument} is not an option; see --help"),
            }
        }
        Ok(options)
    }

    pub(crate) fn wants(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
    }
}

fn section(name: &str) -> Result<Section> {
    Ok(match name {
        "export" => Section::Export,
        "write" => Section::Write,
        "peers" => Section::Peers,
        "scaling" => Section::Scaling,
        other => bail!("{other} is not a section: export, write, peers or scaling"),
    })
}
