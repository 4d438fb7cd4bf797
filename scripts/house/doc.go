// Package house holds the rules of the whole source tree, as tests: which package may import which,
// what stands at the root, how wide lines are, and that README and CONTRIBUTING name what is there.
package house
