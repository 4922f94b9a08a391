//! The whole program against two AWS accounts on loopback: every test runs the real binary, pointed there by
//! its environment alone, and looks at what it left in the bucket, the queues and the tables.

mod awkward;
mod bad_input;
#[path = "../../examples/soak/check.rs"]
mod check;
mod commands;
#[path = "../../examples/quickstart/compare.rs"]
mod compare;
mod dispositions;
mod doctor;
mod drift;
mod duplicates;
mod ends;
mod evidence;
mod faults;
#[allow(dead_code, reason = "the soak tells more than the tests look at")]
#[path = "../../examples/soak/fleet.rs"]
mod fleet;
mod format;
mod guards;
mod hand_over;
mod harness;
mod in_process;
mod inventory;
mod kills;
mod limits;
mod memory;
mod metrics;
mod model;
mod nights;
mod pace;
mod pipeline;
#[allow(dead_code, reason = "the soak tells more than the tests look at")]
#[path = "../../examples/soak/points.rs"]
mod points;
mod restore;
mod settings;
mod settings_capture;
mod settling;
mod shutdown;
#[path = "../../examples/soak/tables.rs"]
mod tables;
#[allow(dead_code, reason = "the soak tells more than the tests look at")]
#[path = "../../examples/soak/trial.rs"]
mod trial;
mod turn;
mod verify;
