//! Tests of the goods actor.
