package config

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

// Tokens of the admin API are read, or what is wrong with them is said, without the secret.
func TestAdminTokensAreChecked(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(token)))
	read := `name = "a", scope = "read"`
	for _, tc := range []struct{ value, want string }{
		{`[{` + read + `, token = "` + token + `"}]`, ""},
		{`[{name = "a", scope = "write", hash = "` + sum + `"}]`, ""},
		{`[{` + read + `, token = "hunter2"}]`, "entry 1: want a token of at least 16 characters"},
		{`[{` + read + `, token = "hunter2 hunter2 hunter2"}]`, "entry 1: a token has only letters"},
		{`[{` + read + `, hash = "hunter2"}]`, "entry 1: hash: want the SHA-256"},
		{`[{` + read + `}]`, "entry 1: want either a token or its hash"},
		{`[{name = "a", token = "` + token + `"}]`, `entry 1: scope: "" is none of read, write`},
		{`[{scope = "read", token = "` + token + `"}]`, "entry 1: name: it is empty"},
		{`[{` + read + `, token = "` + token + `"}, {name = "b", scope = "write", hash = "` + sum + `"}]`,
			"entry 2: its name or its token is listed twice"},
		{`[{` + read + `, token = "` + token + `"}, {name = "a", scope = "read", token = "` + token[1:] +
			`x"}]`,
			"entry 2: its name or its token is listed twice"},
		{`[{name = "admin.token", scope = "read", token = "` + token + `"}]`,
			`entry 1: name: "admin.token" is the owner's`},
		{`[{` + read + `, key = "hunter2"}]`, `entry 1: "key" is none of name, token`},
		{`[{name = 5}]`, "write each as a block of its own"},
		{`"hunter2"`, "write each as a block of its own"},
	} {
		c, err := load(t, LoadOptions{Set: []string{"admin.tokens=" + tc.value}})
		switch {
		case tc.want == "" && (err != nil || c.Admin.Tokens[0].Sum() != sha256.Sum256([]byte(token))):
			t.Errorf("%s: %v, %v", tc.value, c.Admin.Tokens, err)
		case tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "admin.tokens (--set): "+tc.want) ||
			strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: error %v, want %s", tc.value, err, tc.want)
		}
	}
}

// The owner's token keeps its rights: none of the others can be the same, told or as a hash.
func TestOwnersTokenIsItsOwn(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	for _, entry := range []string{`token = "` + token + `"`,
		fmt.Sprintf(`hash = "%X"`, sha256.Sum256([]byte(token)))} {
		_, err := load(t, LoadOptions{Set: []string{"admin.token=" + token,
			`admin.tokens=[{name = "a", scope = "read", ` + entry + `}]`}})
		if err == nil || !strings.Contains(err.Error(), "one of them is the token in admin.token") ||
			strings.Contains(err.Error(), token) {
			t.Errorf("%s: error %v", entry, err)
		}
	}
}
