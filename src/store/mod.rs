//! Adapters of the engine's store.

pub mod postgres;
