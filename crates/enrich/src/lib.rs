//! Instruments and sessions joined to packets. Pure joins over tables in memory
