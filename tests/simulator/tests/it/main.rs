//! Ten thousand seeds, every crash point, and the bugs that must be found.

mod crash_points;
mod planted_bugs;
mod seeds;
