CREATE TABLE signing_key (id UUID PRIMARY KEY, version BIGINT NOT NULL, signs {key}, body TEXT NOT NULL);
CREATE UNIQUE INDEX signing_key_signs ON signing_key (signs);
