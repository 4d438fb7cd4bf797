// Package coturn reads a configuration of coturn's, turnserver.conf, and writes the configuration
// of this box that does the same, with a line for each option that is not carried over.
package coturn
