-- Facts about the key store itself.
CREATE TABLE fact (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);
COMMENT ON COLUMN fact.name IS '''worn'': keys were destroyed since the tables were last written anew, and how many times; ''checkpoint'', ''log-size'': the signed note of the longest log that was signed, and its number of leaves';
