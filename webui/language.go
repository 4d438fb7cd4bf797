package webui

import (
	"net/http"
	"strings"
)

// languages are those that pages have texts in, as the files of static/js/lang are named. The first
// is for readers of none of them.
func languages() []string { return []string{"en", "zh-CN"} }

// languageOf returns what a reader's browser is going to choose (static/js/i18n.js), so that the
// page can tell it to load that language at once. Browsers list what they prefer first.
func languageOf(r *http.Request) string {
	for _, wanted := range strings.Split(strings.Join(r.Header.Values("Accept-Language"), ","), ",") {
		primary, _, _ := strings.Cut(strings.TrimSpace(wanted), ";")
		primary, _, _ = strings.Cut(primary, "-")
		for _, language := range languages() {
			if own, _, _ := strings.Cut(language, "-"); strings.EqualFold(primary, own) {
				return language
			}
		}
	}
	return languages()[0]
}
