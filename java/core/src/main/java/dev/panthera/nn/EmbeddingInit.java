package dev.panthera.nn;

/** What the rows of a table of word embeddings start as. */
public enum EmbeddingInit {
    /** N(0, 0.02^2), as all other tables. */
    DEFAULT,
    /** Of length 1, in directions that are uniform on the sphere. */
    SPHERICAL,
    /** N(0, 1). */
    NORMAL
}
