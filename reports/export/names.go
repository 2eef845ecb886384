package export

import (
	"fmt"
	"os"
	"path/filepath"
)

// Names are those of the runs in the given run directories: the directory's own, with its parent's before it for each that
// would share its name with another. A directory that is given twice is an error.
func Names(dirs []string) ([]string, error) {
	full, names, many := make([]string, len(dirs)), make([]string, len(dirs)), map[string]int{}
	for i, dir := range dirs {
		path, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		full[i], names[i] = path, filepath.Base(path)
		many[names[i]]++
	}
	taken := map[string]string{}
	for i, path := range full {
		if many[names[i]] > 1 {
			names[i] = filepath.Base(filepath.Dir(path)) + "_" + names[i]
		}
		if other, ok := taken[names[i]]; ok {
			return nil, fmt.Errorf("%s and %s would both be exported as %s: export them apart", other, dirs[i], names[i])
		}
		taken[names[i]] = dirs[i]
	}
	return names, nil
}

// Apart refuses folders in which a run's export would lie in the run directory itself, where only running writes.
func (f Folders) Apart(dirs, names []string) error {
	for _, folder := range f.all() {
		for i, dir := range dirs {
			run, err := os.Stat(dir)
			if err != nil {
				continue
			}
			if to, err := os.Stat(filepath.Join(folder, names[i])); err == nil && os.SameFile(run, to) {
				return fmt.Errorf("%s is where run directory %s lies: choose another folder to export to", folder, dir)
			}
		}
	}
	return nil
}
