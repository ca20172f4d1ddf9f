//! Adapters of the port through which nodes notify each other.

pub mod rabbitmq;
