import { render } from 'preact';
import { App } from './app.tsx';
import './style.css';
import 'asciinema-player/dist/bundle/asciinema-player.css';

const root = document.getElementById('app');
if (root !== null) render(<App />, root);
