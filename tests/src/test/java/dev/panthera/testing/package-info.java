/** What several tests share. */
package dev.panthera.testing;
