//! Adapters of the port through which nodes hint to each other.

pub mod rabbitmq;
