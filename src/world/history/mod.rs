//! What a branch tells of promotions and of people's decisions, as a world file keeps it.

pub(super) mod saved;
