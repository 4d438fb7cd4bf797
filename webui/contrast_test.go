package webui

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// What can be filled in or pressed is told from what is around it by its border, in both color
// schemes: 3 to 1 (WCAG 2.2, 1.4.11).
func TestBordersOfControlsAreSeen(t *testing.T) {
	t.Parallel()
	styles := readAll(t, "static/css", ".css")
	light, dark, found := strings.Cut(styles["static/css/base.css"], "prefers-color-scheme: dark")
	if !found {
		t.Fatal("there is no dark scheme")
	}
	dark, _, _ = strings.Cut(dark, "\n}\n")
	control := regexp.MustCompile(`(?:^|[\s.,>])(?:button|input|select|textarea)\b`)
	border := regexp.MustCompile(`\bborder(?:-color)?:[^;]*var\(--([\w-]+)\)`)
	rule := regexp.MustCompile(`([^{}]+)\{([^{}]*)\}`)
	borders := map[string]string{} // a selector by variable
	for _, style := range styles {
		for _, match := range rule.FindAllStringSubmatch(style, -1) {
			if color := border.FindStringSubmatch(match[2]); color != nil && control.MatchString(match[1]) {
				borders[color[1]] = strings.TrimSpace(match[1])
			}
		}
	}
	if borders["edge"] == "" {
		t.Errorf("no control has a border of --edge: %v", borders)
	}
	for scheme, text := range map[string]string{"light": light, "dark": dark} {
		colors := map[string]float64{}
		for _, match := range regexp.MustCompile(`--([\w-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(text, -1) {
			colors[match[1]] = luminance(t, match[2])
		}
		for name, selector := range borders {
			for _, around := range []string{"bg", "surface", "sunken"} {
				if ratio := contrast(colors[name], colors[around]); ratio < 3 {
					t.Errorf("%s: the border --%s of %s is %.2f to 1 on --%s", scheme, name, selector, ratio, around)
				}
			}
		}
	}
}

// luminance is the relative luminance of a color in hexadecimal digits (WCAG 2.2).
func luminance(t *testing.T, digits string) (sum float64) {
	t.Helper()
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		part, err := strconv.ParseUint(digits[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		linear := float64(part) / 255 / 12.92
		if part > 10 {
			linear = math.Pow((float64(part)/255+0.055)/1.055, 2.4)
		}
		sum += weight * linear
	}
	return sum
}

func contrast(a, b float64) float64 { return (max(a, b) + 0.05) / (min(a, b) + 0.05) }
