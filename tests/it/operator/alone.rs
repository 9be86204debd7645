//! What needs the stack for itself.

mod doctor;
mod life_and_death;
