-- Streams that agents are asked for. {key}: a text that is compared byte by byte.

CREATE TABLE stream (
    id UUID PRIMARY KEY, version BIGINT NOT NULL, host {key}, body TEXT NOT NULL
);
CREATE INDEX stream_host ON stream (host, id);
