-- Facts about the key store itself.
CREATE TABLE fact (
    name  TEXT NOT NULL PRIMARY KEY, -- 'worn': a key was destroyed since the file was last written anew
    value TEXT NOT NULL
) STRICT;
