// For a page that has nothing but texts to care for.
import { start } from './i18n.js';

start();
