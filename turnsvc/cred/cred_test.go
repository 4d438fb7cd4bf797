package cred

import (
	"testing"
	"time"
)

// Names as other programs make them, with coturn's two forms and separators of their own.
func TestIssue16NamesOfOtherPrograms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		separator, name string
		expires         int64
		id              string
	}{
		{":", "1893456000:@alice:example.org", 1893456000, "@alice:example.org"},
		{":", "1893456000:@alice:example.org:8448", 1893456000, "@alice:example.org:8448"},
		{":", "alice:1893456000", 1893456000, "alice"},
		{":", "@alice:example.org:1893456000", 1893456000, "@alice:example.org"},
		{":", "1893456000", 1893456000, ""},
		{":", "1893456000:", 1893456000, ""},
		{":", "5:u", 5, "u"}, // it has long expired
		// An id may be a number, also one of a telephone.
		{":", "1893456000:42", 1893456000, "42"},
		{":", "42:1893456000", 1893456000, "42"},
		{":", "1893456000:tel:4915112345678", 1893456000, "tel:4915112345678"},
		// A time at both ends: users, who choose their id, can't prolong their credential.
		{":", "1800000000:1893456000", 1800000000, "1893456000"},
		{":", "1893456000:bob:1800000000", 1800000000, "bob:1800000000"},
		{":", "1800000000:bob:1893456000", 1800000000, "bob:1893456000"},
		{"|", "1893456000|a:b", 1893456000, "a:b"},
		{"|", "1700000000:a|1893456000", 1893456000, "1700000000:a"},
	} {
		expires, id, ok := NewKeys("x").SeparatedBy(tt.separator).Parse(Shared, tt.name)
		if !ok || expires.Unix() != tt.expires || id != tt.id {
			t.Errorf("%q is taken for %q until %d, %v; want %q until %d", tt.name, id, expires.Unix(), ok, tt.id,
				tt.expires)
		}
	}
	for _, name := range []string{"", ":", "alice", "alice:", ":1893456000", "+1893456000:a", "-5:a", "alice:x"} {
		if _, _, ok := NewKeys("x").Parse(Shared, name); ok {
			t.Errorf("%q is taken for a minted name", name)
		}
	}
	// What the box makes itself is read as it is made, whatever ids and separators are.
	mine := NewKeys("x").SeparatedBy("|")
	for class := Hub; class <= Shared; class++ {
		for _, id := range []string{"a", "a:1800000000", "a|1800000000", ""} {
			name, _ := mine.Mint(class, id, time.Unix(1893456000, 0))
			expires, got, ok := mine.Parse(class, name)
			bySecond := class == Shared && id == "a|1800000000" // which is the earlier time
			if !ok || got != id || expires.Unix() != 1893456000 && !bySecond {
				t.Errorf("class %v: %q is taken for %q until %d", class, name, got, expires.Unix())
			}
		}
	}
}

// A static user can't have a name that minted credentials have, in either form.
func TestIssue16StaticNamesAreNotMinted(t *testing.T) {
	t.Parallel()
	k := NewKeys("x").SeparatedBy("|")
	for name, want := range map[string]bool{
		"1893456000:bob": true, "bob:1893456000": true, "bob|1893456000": true, "1893456000|bob": true,
		"bob": false, "1893456000": false, "bob:42": false, "42:bob": false, "bob-1893456000": false,
	} {
		if k.IsMinted(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
