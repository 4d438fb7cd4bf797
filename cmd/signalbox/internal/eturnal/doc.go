// Package eturnal reads a configuration of eturnal's, eturnal.yml, and writes the configuration of
// this box that does the same, with a line for each option that is not carried over.
package eturnal
