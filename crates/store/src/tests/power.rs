//! The power is cut after every single operation of a flush in turn.
