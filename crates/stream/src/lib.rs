//! Redis Streams: publisher, consumer group, flat entries, dead letters
