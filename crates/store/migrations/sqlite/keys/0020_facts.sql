-- Facts about the key store itself.
CREATE TABLE fact (
    -- 'worn': a key was destroyed since the file was last written anew; 'checkpoint', 'log-size': the signed note of
    -- the longest log that was signed, and its number of leaves
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
